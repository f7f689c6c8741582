// What can be asked of the files inside a container, and the answer. Data only: it crosses from the engine to the shim, and to
// a guest.
#pragma once

#include <cstdint>
#include <ctime>
#include <string>

namespace bulkhead::archive {

enum class Overwrite { kAnything, kSameKind };  // kSameKind: no folder by something else, nor the reverse

struct FileRequest {
  // kStat: what is at `path`. kPack: that as a tar archive. kUnpack: a tar archive into the folder at `path`.
  enum class Kind { kStat, kPack, kUnpack };
  Kind kind = Kind::kStat;
  std::string path;  // inside the container, as clean_request_path makes it
  Overwrite overwrite = Overwrite::kAnything;
  std::string owner;  // kUnpack: the user ("name", "1000:50") that everything shall belong to; "" : as the archive says
};

/// SECURITY: it may come from a guest: name and link_target are cut to size where it is read, the rest may be any number.
struct PathStat {
  std::string name;  // the last part of the path that was asked for
  uint64_t size = 0;
  uint32_t mode = 0;  // st_mode, with the kind
  timespec mtime{};
  std::string link_target;  // of a symbolic link: where it leads to in the end, as a path in the container
};

inline constexpr size_t kMaxRequestPath = 4095;  // bytes

/// "a/../b/" -> "/b/": absolute, without "." and ".." (taken away by the text alone, as Docker does), but a "/" or "/." at the
/// end stays: it asks for what a link leads to. Throws kInvalidArgument (too long, NUL).
std::string clean_request_path(const std::string& path);
/// The last part of a cleaned path: "/a/b/" -> "b", "/a/." -> ".", "/" -> "/".
std::string base_name(const std::string& path);

}  // namespace bulkhead::archive
