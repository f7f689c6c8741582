// containerd.task.v2.Task, and our own service beside it, on the wire: decodes a call, asks the Container, encodes the answer.
#pragma once

#include <functional>
#include <string>

#include "shim/container.h"
#include "ttrpc/server.h"

namespace bulkhead::shim {

class TaskService {
 public:
  /// `shut_down` is called once a Shutdown was agreed to, before it is answered.
  TaskService(Container& container, std::function<void()> shut_down);

  /// Throws what becomes the answer; or answers now, or when a waited-for process ends.
  void handle(const ttrpc::Call& call, ttrpc::Responder responder);

 private:
  void create(const std::string& payload, ttrpc::Responder& responder);
  void start(const std::string& payload, ttrpc::Responder& responder);
  void state(const std::string& payload, ttrpc::Responder& responder);
  void remove(const std::string& payload, ttrpc::Responder& responder);
  void pids(const std::string& payload, ttrpc::Responder& responder);
  void pause(const std::string& payload, ttrpc::Responder& responder);
  void resume(const std::string& payload, ttrpc::Responder& responder);
  void kill(const std::string& payload, ttrpc::Responder& responder);
  void exec(const std::string& payload, ttrpc::Responder& responder);
  void resize(const std::string& payload, ttrpc::Responder& responder);
  void close_io(const std::string& payload, ttrpc::Responder& responder);
  void update(const std::string& payload, ttrpc::Responder& responder);
  void wait(const std::string& payload, ttrpc::Responder& responder);
  void statistics(const std::string& payload, ttrpc::Responder& responder);
  void connect(const std::string& payload, ttrpc::Responder& responder);
  void shutdown(const std::string& payload, ttrpc::Responder& responder);
  void discard(const std::string& payload, ttrpc::Responder& responder);
  void measure(const std::string& payload, ttrpc::Responder& responder);

  template <typename Request>
  Request parse(const std::string& payload) const;

  Container& container_;
  std::function<void()> shut_down_;
};

}  // namespace bulkhead::shim
