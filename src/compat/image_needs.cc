#include "compat/image_needs.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "support/error.h"

namespace bulkhead::compat {
namespace {

struct Places {
  std::string_view architecture;
  std::vector<std::string> paths;
};

/// SECURITY: names of features are an image's, and go to terminals.
std::string printable(std::string_view text) {
  std::string safe(text.substr(0, 64));
  std::replace_if(
      safe.begin(), safe.end(), [](unsigned char letter) { return letter < 0x20 || letter >= 0x7f; }, '?');
  return safe;
}

std::optional<KernelNeed> declared_need(const ImageFacts& facts) {
  if (auto label = facts.labels.find(kKernelLabel); label != facts.labels.end() && !label->second.empty()) {
    try {
      return KernelNeed{.range = KernelRange::parse(label->second), .source = fmt::format("label {}", kKernelLabel)};
    } catch (const Error& error) {
      throw error.wrap(fmt::format("label {} of the image or of the container", kKernelLabel));
    }
  }
  // Specified for Windows, "implementation-defined" elsewhere (image-spec, image-index.md). A distribution's version ("12")
  // must not be taken for a kernel's: a minor number has to be there.
  std::optional<KernelVersion> version = parse_kernel_version(facts.os_version);
  if (version && facts.os_version.find('.') != std::string::npos) {
    return KernelNeed{.range = KernelRange::at_least(*version), .source = "os.version"};
  }
  return std::nullopt;
}

}  // namespace

ImageNeeds needs_of(const ImageFacts& facts) {
  ImageNeeds needs{.architecture = facts.architecture, .kernel = {}, .features = facts.os_features};
  if (auto declared = declared_need(facts)) {
    needs.kernel.push_back(std::move(*declared));
  }
  if (facts.library) {
    needs.kernel.push_back(*facts.library);
  }
  return needs;
}

bool runs_natively(const std::string& image, const std::string& host) {
  return image.empty() || image == host || (host == "amd64" && image == "386") || (host == "arm64" && image == "arm");
}

bool runs_natively(const std::string& image, const KernelFacts& kernel) {
  bool lacks_32_bits = image == "386" && kernel.architecture == "amd64" && !kernel.programs_386;
  return runs_natively(image, kernel.architecture) && !lacks_32_bits;
}

std::optional<std::string> mismatch(const ImageNeeds& needs, const KernelFacts& kernel) {
  bool emulated = std::find(kernel.emulated.begin(), kernel.emulated.end(), needs.architecture) != kernel.emulated.end();
  if (!runs_natively(needs.architecture, kernel) && !emulated) {
    return fmt::format("the image is for {} processors, {} has {}", printable(needs.architecture), kernel.name,
                       kernel.architecture);
  }
  std::optional<KernelVersion> version = parse_kernel_version(kernel.version.empty() ? kernel.release : kernel.version);
  for (const KernelNeed& need : needs.kernel) {
    if (!version || !need.range.holds(*version)) {
      return fmt::format("the image needs Linux {} ({}), {} has Linux {}", printable(need.range.text()), need.source,
                         kernel.name,
                         kernel.version.empty() ? kernel.release : fmt::format("{} ({})", kernel.release, kernel.version));
    }
  }
  if (!needs.features.empty()) {
    return fmt::format("the image needs the operating system's feature '{}' (os.features), which {} does not have",
                       printable(needs.features.front()), kernel.name);
  }
  return std::nullopt;
}

std::vector<std::string> library_paths(const std::string& architecture) {
  static const std::array kPlaces = {
      Places{"amd64", {"/lib/x86_64-linux-gnu/libc.so.6", "/usr/lib/x86_64-linux-gnu/libc.so.6"}},
      Places{"386", {"/lib/i386-linux-gnu/libc.so.6", "/usr/lib/i386-linux-gnu/libc.so.6"}},
      Places{"arm64", {"/lib/aarch64-linux-gnu/libc.so.6", "/usr/lib/aarch64-linux-gnu/libc.so.6"}},
      Places{"arm", {"/lib/arm-linux-gnueabihf/libc.so.6", "/usr/lib/arm-linux-gnueabihf/libc.so.6"}},
      Places{"riscv64", {"/lib/riscv64-linux-gnu/libc.so.6", "/usr/lib/riscv64-linux-gnu/libc.so.6"}},
      Places{"ppc64le", {"/lib/powerpc64le-linux-gnu/libc.so.6", "/usr/lib/powerpc64le-linux-gnu/libc.so.6"}},
      Places{"s390x", {"/lib/s390x-linux-gnu/libc.so.6", "/usr/lib/s390x-linux-gnu/libc.so.6"}}};
  std::vector<std::string> paths;
  const auto* found =
      std::find_if(kPlaces.begin(), kPlaces.end(), [&](const Places& places) { return places.architecture == architecture; });
  if (found != kPlaces.end()) {
    paths = found->paths;
  }
  // Distributions without folders by architecture.
  for (const char* path : {"/lib64/libc.so.6", "/usr/lib64/libc.so.6", "/lib/libc.so.6", "/usr/lib/libc.so.6"}) {
    paths.emplace_back(path);
  }
  return paths;
}

}  // namespace bulkhead::compat
