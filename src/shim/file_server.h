// Requests about the container's files that are being carried out: each has a connection that hears how it ended.
//
// One thread, the loop's. Must be empty before the sandbox goes: see `Container`.
#pragma once

#include <list>
#include <memory>

#include "sandbox/sandbox.h"
#include "shim/event_loop.h"

namespace bulkhead::shim {

class FileServer {
 public:
  explicit FileServer(EventLoop& loop) : loop_(loop) {}

  void add(std::unique_ptr<sandbox::FileWork> work, UniqueFd connection);
  /// Breaks off what isn't done; whoever asked sees a closed connection.
  void stop() { running_.clear(); }

 private:
  struct Running {
    UniqueFd connection;
    std::unique_ptr<sandbox::FileWork> work;
    Watch watch;  // last: goes before the work's descriptor
  };
  void on_done(std::list<Running>::iterator running);

  EventLoop& loop_;
  std::list<Running> running_;
};

}  // namespace bulkhead::shim
