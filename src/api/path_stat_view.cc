#include "api/path_stat_view.h"

#include <sys/stat.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "support/time.h"

namespace bulkhead::api {
namespace {

/// SECURITY: a guest may say any number: only what a client can parse is passed on.
TimePoint bounded(timespec time) {
  constexpr int64_t kFarthest = 9'000'000'000;  // seconds: the years 1684 to 2255
  auto nanoseconds = std::clamp<int64_t>(time.tv_nsec, 0, 999'999'999);
  return TimePoint(std::chrono::seconds(std::clamp<int64_t>(time.tv_sec, -kFarthest, kFarthest)) +
                   std::chrono::nanoseconds(nanoseconds));
}

}  // namespace

uint32_t go_file_mode(uint32_t mode) {
  constexpr uint32_t kFolder = 1U << 31;
  constexpr uint32_t kSymlink = 1U << 27;
  constexpr uint32_t kDevice = 1U << 26;
  constexpr uint32_t kFifo = 1U << 25;
  constexpr uint32_t kSocket = 1U << 24;
  constexpr uint32_t kSetUid = 1U << 23;
  constexpr uint32_t kSetGid = 1U << 22;
  constexpr uint32_t kCharacterDevice = 1U << 21;
  constexpr uint32_t kSticky = 1U << 20;
  uint32_t bits = mode & 0777U;
  switch (mode & static_cast<uint32_t>(S_IFMT)) {
    case S_IFDIR: bits |= kFolder; break;
    case S_IFLNK: bits |= kSymlink; break;
    case S_IFBLK: bits |= kDevice; break;
    case S_IFCHR: bits |= kDevice | kCharacterDevice; break;
    case S_IFIFO: bits |= kFifo; break;
    case S_IFSOCK: bits |= kSocket; break;
    default: break;
  }
  bits |= (mode & static_cast<uint32_t>(S_ISUID)) != 0 ? kSetUid : 0;
  bits |= (mode & static_cast<uint32_t>(S_ISGID)) != 0 ? kSetGid : 0;
  bits |= (mode & static_cast<uint32_t>(S_ISVTX)) != 0 ? kSticky : 0;
  return bits;
}

std::string encode_base64(std::string_view bytes) {
  constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    std::string_view group = bytes.substr(i, 3);
    uint32_t bits = 0;
    for (size_t j = 0; j < 3; ++j) {
      bits = bits << 8U | (j < group.size() ? static_cast<unsigned char>(group[j]) : 0U);
    }
    for (size_t j = 0; j < 4; ++j) {
      text += j <= group.size() ? kAlphabet[bits >> (18 - 6 * j) & 63U] : '=';
    }
  }
  return text;
}

std::string path_stat_header(const archive::PathStat& found) {
  nlohmann::json json = {{"name", found.name},
                         {"size", found.size},
                         {"mode", go_file_mode(found.mode)},
                         {"mtime", rfc3339(bounded(found.mtime))},
                         {"linkTarget", found.link_target}};
  return encode_base64(json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

}  // namespace bulkhead::api
