#include "archive/file_request.h"

#include <fmt/format.h>

#include <filesystem>

#include "archive/archive_path.h"
#include "support/error.h"

namespace bulkhead::archive {

std::string clean_request_path(const std::string& path) {
  if (path.size() > kMaxRequestPath || path.find('\0') != std::string::npos) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("'{}' can't be a path: it is too long or holds a NUL", printable(path)));
  }
  std::string clean = std::filesystem::path("/" + path).lexically_normal().native();
  while (clean.starts_with("//")) {  // which lexically_normal keeps
    clean.erase(0, 1);
  }
  if (clean.size() > 1 && clean.ends_with('/')) {
    clean.pop_back();
  }
  if (path == "." || path.ends_with("/.")) {
    return clean + (clean == "/" ? "." : "/.");
  }
  return path.ends_with('/') && clean != "/" ? clean + "/" : clean;
}

std::string base_name(const std::string& path) {
  size_t end = path.find_last_not_of('/');
  if (end == std::string::npos) {
    return "/";
  }
  size_t slash = path.rfind('/', end);
  size_t start = slash == std::string::npos ? 0 : slash + 1;
  return path.substr(start, end + 1 - start);
}

}  // namespace bulkhead::archive
