// A listening unix socket of the shim, and who may connect to it.
#pragma once

#include <filesystem>
#include <functional>

#include "shim/event_loop.h"
#include "support/unique_fd.h"

namespace bulkhead::shim {

/// Binds and listens, mode 0600. A socket file that nobody listens on any more is replaced; kConflict where somebody does.
UniqueFd listen_at(const std::filesystem::path& path);

/// Accepts connections. Only peers with root's or our own user id get through.
class Listener {
 public:
  using OnConnection = std::function<void(UniqueFd)>;

  /// `socket` listens at `path`, which the destructor removes.
  Listener(EventLoop& loop, UniqueFd socket, std::filesystem::path path, OnConnection on_connection);
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;
  ~Listener();

 private:
  void on_event();

  UniqueFd socket_;
  std::filesystem::path path_;
  OnConnection on_connection_;
  Watch watch_;
};

}  // namespace bulkhead::shim
