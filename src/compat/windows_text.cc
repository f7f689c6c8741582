#include "compat/windows_text.h"

#include <fmt/format.h>

#include <algorithm>

namespace bulkhead::compat {
namespace {

std::string join(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) {
    text += (text.empty() ? "" : "; ") + name;
  }
  return text;
}

/// SECURITY: the text is an image's, and goes to a terminal.
std::string printable(std::string_view text) {
  std::string safe(text.substr(0, 64));
  std::replace_if(
      safe.begin(), safe.end(), [](unsigned char letter) { return letter < 0x20 || letter >= 0x7f; }, '?');
  return safe;
}

/// A build that has no name yet, as a host.
WindowsLine unnamed_line(const WindowsVersion& image, WindowsKind kind, const WindowsVersion& host) {
  const char* what = kind == WindowsKind::kServer ? "Server" : "client";
  return {.host = fmt::format("a Windows {} of build {}", what, host.build),
          .build = std::to_string(host.build),
          .verdict = judge(image, kind, host)};
}

std::string where_it_runs(const WindowsVersion& image) {
  std::vector<std::string> process;
  for (const WindowsLine& line : windows_lines(image, std::nullopt)) {
    if (line.verdict.process == Answer::kRuns) {
      process.push_back(line.host);
    } else if (line.verdict.process == Answer::kRunsWithEqualRevision) {
      process.push_back(line.host + " of the same revision");
    }
  }
  std::string hyperv = fmt::format("in hyperv isolation on any Windows from build {} on", image.build);
  return process.empty() ? "It runs " + hyperv
                         : fmt::format("It runs in process isolation on {}, and {}", join(process), hyperv);
}

}  // namespace

std::string describe_windows(std::string_view os_version) {
  if (os_version.empty()) {
    return "Windows of an unnamed version";
  }
  std::optional<WindowsVersion> version = parse_windows_version(os_version);
  if (!version) {
    return fmt::format("Windows (version '{}')", printable(os_version));
  }
  std::string_view name = image_name(version->build);
  return name.empty() ? fmt::format("Windows {}", to_string(*version))
                      : fmt::format("Windows {} ({})", to_string(*version), name);
}

std::string_view word(Answer answer) {
  switch (answer) {
    case Answer::kRuns: return "yes";
    case Answer::kRunsWithEqualRevision: return "with equal revision";
    case Answer::kRefused: return "no";
  }
  return "no";
}

std::vector<WindowsLine> windows_lines(const WindowsVersion& image, const std::optional<WindowsVersion>& host) {
  std::vector<WindowsLine> lines;
  for (const WindowsRelease& release : windows_releases()) {
    if (host && host->build != release.build) {
      continue;
    }
    WindowsVersion version = host.value_or(WindowsVersion{.build = release.build, .revision = {}});
    lines.push_back({.host = std::string(release.name),
                     .build = std::to_string(release.build),
                     .verdict = judge(image, release.kind, version)});
  }
  if (lines.empty()) {
    lines.push_back(unnamed_line(image, WindowsKind::kServer, *host));
    lines.push_back(unnamed_line(image, WindowsKind::kClient, *host));
  }
  return lines;
}

std::string_view windows_sources() {
  return "[1] learn.microsoft.com/virtualization/windowscontainers/deploy-containers/version-compatibility, 2025-01-23\n"
         "[2] the same, 2020-10-30   [3] the same, 2018-11-14\n"
         "[4] learn.microsoft.com/virtualization/windowscontainers/deploy-containers/portability, 2025-01-23\n"
         "[5] github.com/microsoft/hcsshim, osversion/platform_compat_windows.go, 2026-08-20\n"
         "[6] learn.microsoft.com/virtualization/windowscontainers/about/faq\n";
}

std::string refuse_windows_image(std::string_view name, std::string_view os_version) {
  std::string text = fmt::format(
      "The operating system of the container does not match the operating system of the host. (0xc0370101): image '{}' is for "
      "{}, and this host runs Linux, which has no Windows kernel to offer in process or in hyperv isolation. ",
      name, describe_windows(os_version));
  if (std::optional<WindowsVersion> version = parse_windows_version(os_version)) {
    text += where_it_runs(*version) + "; ";
  }
  return text + fmt::format("'bulkhead compat {}' shows every host", name);
}

}  // namespace bulkhead::compat
