// A Windows version as images carry it (`os.version`): "10.0.20348.2700" is major, minor, build, revision. Pure.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace bulkhead::compat {

struct WindowsVersion {
  uint32_t major = 10, minor = 0, build = 0;
  std::optional<uint32_t> revision;

  friend bool operator==(const WindowsVersion&, const WindowsVersion&) = default;
};

/// "10.0.20348.2700", "10.0.20348", "20348.2700" or "20348"; nullopt for anything else.
std::optional<WindowsVersion> parse_windows_version(std::string_view text);
/// "10.0.20348.2700", without the revision where none is known.
std::string to_string(const WindowsVersion& version);

}  // namespace bulkhead::compat
