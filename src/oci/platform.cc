#include <fmt/format.h>
#include <sys/utsname.h>

#include <algorithm>
#include <array>

#include "oci/manifest.h"
#include "support/error.h"

namespace bulkhead::oci {
namespace {

std::string lower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return result;
}

void normalise(Platform& platform) {
  std::string& architecture = platform.architecture;
  std::string& variant = platform.variant;
  if (architecture == "x86_64" || architecture == "x86-64") {
    architecture = "amd64";
  } else if (architecture == "i386" || architecture == "i686") {
    architecture = "386";
  } else if (architecture == "aarch64") {
    architecture = "arm64";
  } else if (architecture == "armhf") {
    architecture = "arm";
    variant = "v7";
  } else if (architecture == "armel") {
    architecture = "arm";
    variant = "v6";
  }
  if (!variant.empty() && variant[0] >= '0' && variant[0] <= '9') {
    variant.insert(0, "v");
  }
  // The variant every machine of the architecture has goes without saying.
  if ((architecture == "arm64" && variant == "v8") || (architecture == "amd64" && variant == "v1")) {
    variant.clear();
  }
  if (architecture == "arm" && variant.empty()) {
    variant = "v7";
  }
}

int variant_number(const std::string& variant, int otherwise) {
  bool simple = variant.size() == 2 && variant[0] == 'v' && variant[1] >= '0' && variant[1] <= '9';
  return variant.empty() ? otherwise : simple ? variant[1] - '0' : -1;
}

/// Steps down from the wanted variant of the same architecture.
std::optional<int> variant_distance(const Platform& wanted, const Platform& offered) {
  if (wanted.variant == offered.variant) {
    return 0;
  }
  int otherwise = wanted.architecture == "arm64" ? 8 : 1;
  int have = variant_number(offered.variant, otherwise);
  int want = variant_number(wanted.variant, otherwise);
  if (have < 0 || want < 0 || have > want) {
    return std::nullopt;
  }
  return want - have;
}

}  // namespace

Platform host_platform() {
  utsname names{};
  ::uname(&names);
  Platform platform{.os = "linux", .architecture = names.machine, .variant = {}, .os_version = {}, .os_features = {}};
  if (platform.architecture == "armv7l") {
    platform.architecture = "armhf";
  } else if (platform.architecture == "armv6l") {
    platform.architecture = "armel";
  }
  normalise(platform);
  return platform;
}

Platform parse_platform(std::string_view text) {
  if (text.empty()) {
    return host_platform();
  }
  std::vector<std::string> parts;
  for (std::string_view rest = text;;) {
    size_t slash = rest.find('/');
    parts.push_back(lower(rest.substr(0, slash)));
    if (slash == std::string_view::npos) {
      break;
    }
    rest.remove_prefix(slash + 1);
  }
  bool plain = parts.size() <= 3 && std::all_of(parts.begin(), parts.end(), [](const std::string& part) {
                 return !part.empty() && part[0] != '.' &&
                        part.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_.-") == std::string::npos;
               });
  if (!plain) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("\"{}\" is an invalid platform: use os[/architecture[/variant]]", text));
  }
  Platform platform = host_platform();
  if (parts.size() == 1) {
    bool is_os = parts[0] == "linux" || parts[0] == "windows" || parts[0] == "darwin" || parts[0] == "freebsd";
    (is_os ? platform.os : platform.architecture) = parts[0];
    platform.variant = is_os ? platform.variant : "";
  } else {
    platform.os = parts[0];
    platform.architecture = parts[1];
    platform.variant = parts.size() == 3 ? parts[2] : "";
  }
  normalise(platform);
  return platform;
}

std::string to_string(const Platform& platform) {
  return platform.os + "/" + platform.architecture + (platform.variant.empty() ? "" : "/" + platform.variant);
}

std::optional<int> platform_distance(const Platform& wanted, const Platform& offered_raw) {
  Platform offered = offered_raw;
  normalise(offered);
  if (wanted.os != offered.os) {
    return std::nullopt;
  }
  if (wanted.architecture == offered.architecture) {
    return variant_distance(wanted, offered);
  }
  if (wanted.architecture == "amd64" && offered.architecture == "386") {
    return 100;
  }
  if (wanted.architecture == "arm64" && offered.architecture == "arm") {
    Platform arm = offered;
    arm.variant = "v8";
    std::optional<int> steps = variant_distance(arm, offered);
    return steps ? std::optional<int>(100 + *steps) : std::nullopt;
  }
  return std::nullopt;
}

const Descriptor* select_platform(const Index& index, const Platform& wanted) {
  const Descriptor* best = nullptr;
  int best_distance = 0;
  for (const Descriptor& descriptor : index.manifests) {
    // An entry that names no platform (umoci and older skopeo write such) is the last resort.
    constexpr int kUnnamed = 1000;
    std::optional<int> distance = descriptor.platform ? platform_distance(wanted, *descriptor.platform) : kUnnamed;
    if (distance && (best == nullptr || *distance < best_distance)) {
      best = &descriptor;
      best_distance = *distance;
    }
  }
  return best;
}

}  // namespace bulkhead::oci
