// What `windows_hosts` decides, in words. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "compat/windows_hosts.h"

namespace bulkhead::compat {

/// "Windows 10.0.20348.2700 (Windows Server 2022)"; with an `os_version` that is none: "Windows (version '...')", or "Windows
/// of an unnamed version" where it is empty.
std::string describe_windows(std::string_view os_version);

/// "yes", "no", "with equal revision".
std::string_view word(Answer answer);

/// One line of the answer to "where does it run".
struct WindowsLine {
  std::string host, build;  // "Windows Server 2022", "20348"
  Verdict verdict;
};
/// For each known release; or, with a host's version, for what that build is: server, client or both.
std::vector<WindowsLine> windows_lines(const WindowsVersion& image, const std::optional<WindowsVersion>& host);

/// The list that the numbers in `Verdict::source` and `note` refer to, a line each.
std::string_view windows_sources();

/// Why a Linux host runs the image in no mode, and which hosts do. `name` is the image as the user called it.
std::string refuse_windows_image(std::string_view name, std::string_view os_version);

}  // namespace bulkhead::compat
