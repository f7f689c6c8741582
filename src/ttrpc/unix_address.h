// The address of a unix socket file, of any path length.
//
// sun_path holds 107 bytes; the folders of containers are often deeper. A longer path is reached through a descriptor of its
// folder ("/proc/self/fd/N/name"), which this object holds: keep it until after the bind or connect.
#pragma once

#include <sys/socket.h>
#include <sys/un.h>

#include <filesystem>

#include "support/unique_fd.h"

namespace bulkhead::ttrpc {

inline constexpr size_t kMaxSocketPath = sizeof(sockaddr_un::sun_path) - 1;

class UnixAddress {
 public:
  /// Throws kNotFound where the folder of a long path doesn't exist, kInvalidArgument where the name itself is too long.
  explicit UnixAddress(const std::filesystem::path& path);
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&address_); }
  socklen_t size() const { return sizeof(address_); }

 private:
  UniqueFd folder_;
  sockaddr_un address_{};
};

}  // namespace bulkhead::ttrpc
