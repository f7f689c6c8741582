// Takes connections at <bundle>/attach.sock, reads their first line, and hands them to the process that they ask for, or, with
// the descriptor that came with it, to the container's files.
#pragma once

#include <filesystem>
#include <list>
#include <string_view>

#include "shim/container.h"
#include "shim/event_loop.h"
#include "shim/listener.h"

namespace bulkhead::shim {

class AttachServer {
 public:
  AttachServer(EventLoop& loop, Container& container, UniqueFd socket, std::filesystem::path path);

 private:
  struct Pending {
    UniqueFd socket;
    Watch watch;
  };
  void on_connection(UniqueFd socket);
  void on_readable(std::list<Pending>::iterator pending);
  void serve(std::string_view line, UniqueFd socket, UniqueFd passed);

  EventLoop& loop_;
  Container& container_;
  std::list<Pending> pending_;
  Listener listener_;
};

}  // namespace bulkhead::shim
