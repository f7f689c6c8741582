// The serving shim: owns the loop, the container, the sockets and the connections, from the fork until Shutdown.
#pragma once

#include <filesystem>
#include <list>
#include <memory>
#include <string>

#include "shim/attach_server.h"
#include "shim/container.h"
#include "shim/event_loop.h"
#include "shim/event_publisher.h"
#include "shim/listener.h"
#include "shim/task_service.h"
#include "ttrpc/server.h"

namespace bulkhead::shim {

struct ShimSettings {
  std::string id;
  std::string name_space;
  std::filesystem::path bundle;
  std::filesystem::path cache_folder;
  std::filesystem::path events_address;  // containerd's ttrpc socket; "" where there is none
  std::filesystem::path task_socket;
  std::filesystem::path attach_socket;
};

class Shim {
 public:
  /// The sockets listen already, at the paths of `settings`.
  Shim(ShimSettings settings, const IsolationRegistry& isolations, UniqueFd task_socket, UniqueFd attach_socket);

  /// Serves until Shutdown, or until the last client has gone after the container was removed. Then removes the sockets.
  void run();

 private:
  struct Connection {
    std::shared_ptr<ttrpc::ServerConnection> server;
    Watch watch;
  };
  void on_connection(UniqueFd socket);
  void on_connection_event(std::list<Connection>::iterator connection, uint32_t events);
  void on_child_signal();
  void begin_shutdown();
  void stop_listening();
  void stop_when_idle();

  ShimSettings settings_;
  EventLoop loop_;
  EventPublisher events_;
  Container container_;
  TaskService service_;
  std::list<Connection> connections_;
  UniqueFd signals_;
  Watch signals_watch_;
  std::unique_ptr<Listener> task_listener_;
  std::unique_ptr<AttachServer> attach_server_;
  bool had_client_ = false;
  bool shutting_down_ = false;
};

}  // namespace bulkhead::shim
