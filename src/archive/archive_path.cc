#include "archive/archive_path.h"

#include <fmt/format.h>

#include "support/error.h"

namespace bulkhead::archive {

std::string printable(std::string_view bytes) {
  std::string text;
  for (char c : bytes.substr(0, 200)) {
    auto byte = static_cast<unsigned char>(c);
    text += byte >= 0x20 && byte < 0x7f && c != '\\' ? std::string(1, c) : fmt::format("\\x{:02x}", byte);
  }
  return bytes.size() > 200 ? text + "..." : text;
}

std::string clean_archive_path(std::string_view name) {
  constexpr size_t kMaxPath = 4095;
  constexpr size_t kMaxComponent = 255;  // NAME_MAX
  std::string path;
  path.reserve(name.size());
  for (size_t start = 0; start <= name.size();) {
    size_t slash = name.find('/', start);
    std::string_view part = name.substr(start, slash == std::string_view::npos ? slash : slash - start);
    start = slash == std::string_view::npos ? name.size() + 1 : slash + 1;
    if (part.empty() || part == ".") {
      continue;
    }
    // SECURITY: also where the path as a whole would stay inside: no honest archive says "..".
    if (part == "..") {
      throw Error(ErrorCode::kDataLoss, fmt::format("archive entry '{}' leads out of its folder", printable(name)));
    }
    if (part.size() > kMaxComponent || part.find('\0') != std::string_view::npos) {
      throw Error(ErrorCode::kDataLoss, fmt::format("archive entry '{}' is no valid file name", printable(name)));
    }
    if (!path.empty()) {
      path += '/';
    }
    path += part;
  }
  if (path.size() > kMaxPath) {
    throw Error(ErrorCode::kDataLoss, fmt::format("archive entry '{}' has a path that is too long", printable(name)));
  }
  return path;
}

std::pair<std::string_view, std::string_view> split_path(std::string_view path) {
  size_t slash = path.rfind('/');
  if (slash == std::string_view::npos) {
    return {"", path};
  }
  return {path.substr(0, slash), path.substr(slash + 1)};
}

}  // namespace bulkhead::archive
