#include "compat/kernel_image.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

namespace bulkhead::compat {
namespace {

constexpr size_t kMaxRelease = 64;  // as struct utsname has it
constexpr size_t kMaxBanner = 512;
constexpr std::string_view kBanner = "Linux version ";

/// Letters that a release may hold, up to the first other.
std::string take_release(std::string_view text) {
  constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.+-_~";
  size_t size = std::min({text.find_first_not_of(kLetters), text.size(), kMaxRelease});
  std::string release(text.substr(0, size));
  return release.empty() || release[0] < '0' || release[0] > '9' ? "" : release;
}

std::string release_of_bzimage(std::string_view image) {
  constexpr size_t kMagic = 0x202, kVersionOffset = 0x20e, kBase = 0x200;
  if (image.size() < kVersionOffset + 2 || image.substr(kMagic, 4) != "HdrS") {
    return "";
  }
  uint16_t offset = 0;
  std::memcpy(&offset, image.data() + kVersionOffset, sizeof(offset));
  return offset == 0 || kBase + offset >= image.size() ? "" : take_release(image.substr(kBase + offset));
}

}  // namespace

std::string kernel_banner(std::string_view image) {
  if (!image.starts_with("\x7f"
                         "ELF")) {
    return "";
  }
  for (size_t place = image.find(kBanner); place != std::string_view::npos; place = image.find(kBanner, place + 1)) {
    std::string_view line = image.substr(place, kMaxBanner);
    if (!take_release(line.substr(kBanner.size())).empty()) {
      return std::string(line.substr(0, line.find_first_of(std::string_view("\n\0", 2))));
    }
  }
  return "";
}

std::string kernel_release(std::string_view image) {
  if (std::string release = release_of_bzimage(image); !release.empty()) {
    return release;
  }
  std::string banner = kernel_banner(image);
  return banner.empty() ? "" : take_release(std::string_view(banner).substr(kBanner.size()));
}

}  // namespace bulkhead::compat
