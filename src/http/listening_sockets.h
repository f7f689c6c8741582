// The sockets that a server listens at. Each call blocks for a moment and throws naming the path or the address.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "support/unique_fd.h"

namespace bulkhead::http {

/// Mode 0660 and of the group "docker" where there is one. Throws kConflict where a server answers at the path already; a
/// socket that nobody serves is replaced.
UniqueFd bind_unix(const std::filesystem::path& path);

struct BoundTcp {
  UniqueFd socket;
  uint16_t port;
};
/// `host` is an address (127.0.0.1, ::1, 0.0.0.0, ::) or "localhost"; "" is that, too, as for dockerd. Port 0 is any free one.
BoundTcp bind_tcp(const std::string& host, uint16_t port);

}  // namespace bulkhead::http
