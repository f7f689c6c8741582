// Versions of Linux, and ranges of them as an image's label names them. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

namespace bulkhead::compat {

struct KernelVersion {
  uint32_t major = 0, minor = 0, patch = 0;
  friend bool operator==(const KernelVersion&, const KernelVersion&) = default;
  friend bool operator<(const KernelVersion& a, const KernelVersion& b) {
    return std::tie(a.major, a.minor, a.patch) < std::tie(b.major, b.minor, b.patch);
  }
};

/// The numbers that a release begins with: "6.12.57+deb12-cloud-amd64" is 6.12.57, "6.1" is 6.1.0. nullopt where it begins with
/// none.
std::optional<KernelVersion> parse_kernel_version(std::string_view release);
/// "6.1.192" of Debian's "6.1.0-56-cloud-amd64", whose third number is no patch's; "" where the release says its version
/// itself. `build`: `version` in struct utsname, or a kernel's banner: "... #1 SMP PREEMPT_DYNAMIC Debian 6.1.192-2
/// (2026-11-16)".
std::string version_of_build(std::string_view release, std::string_view build);
/// "6.12.57", "6.1".
std::string to_string(const KernelVersion& version);

/// Conditions that all must hold, separated by blanks or commas: ">=5.15 <7", "6.1" (6.1 and what is patched of it), "any".
/// "<=6.1" takes in all of 6.1, ">6.1" none of it.
class KernelRange {
 public:
  /// Throws kInvalidArgument naming the text.
  static KernelRange parse(std::string_view text);
  static KernelRange at_least(const KernelVersion& version);

  bool holds(const KernelVersion& version) const;
  const std::string& text() const { return text_; }

 private:
  struct Bounds {
    KernelVersion from, below;  // [from, below)
  };
  static Bounds parse_condition(std::string_view condition);

  std::string text_;
  std::vector<Bounds> bounds_;
};

/// Does the text read as a range? Then it is the name of no kernel.
bool is_kernel_range(std::string_view text);

}  // namespace bulkhead::compat
