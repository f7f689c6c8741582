// Which Windows host runs which Windows image, in process and in hyperv isolation: Microsoft's version-compatibility tables as
// data. Pure.
//
// Sources, read in November 2026; pages below learn.microsoft.com/virtualization/windowscontainers, whose texts are kept at
// github.com/MicrosoftDocs/Virtualization-Documentation:
// [1] deploy-containers/version-compatibility, page of 2025-01-23: hosts from Server 2016 to 2025, Windows 10 and 11.
// [2] the same page on 2020-10-30 (commit 00671ac3): the releases from 1903 to 20H2, which the newer page left out.
// [3] the same page on 2018-11-14 (commit 4412583b): the releases from 1607 to 1809.
// [4] deploy-containers/portability, page of 2025-01-23: the Annual Channel's host, 23H2, takes images of Server 2022 only.
// [5] github.com/microsoft/hcsshim, osversion/platform_compat_windows.go, 2026-08-20: what containerd lets through: from Server
// 2022
//     on everything from the long-term release before the host's up to the host. The rule for hosts newer than the tables.
// [6] about/faq: process isolation on a client is for development and test.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "compat/windows_version.h"

namespace bulkhead::compat {

enum class WindowsKind { kServer, kClient };

struct WindowsRelease {
  WindowsKind kind;
  uint32_t build;
  std::string_view name;  // "Windows Server 2022"
};

/// Every release that can be a container host, servers first, oldest first.
std::span<const WindowsRelease> windows_releases();
/// "Windows Server 2022", or "" where no image of that build was ever published under a name.
std::string_view image_name(uint32_t build);

enum class Answer {
  kRuns,
  kRunsWithEqualRevision,  // the host's revision isn't known, and has to be the image's
  kRefused,
};

struct Verdict {
  Answer process = Answer::kRefused;
  Answer hyperv = Answer::kRefused;
  std::string_view source;  // "[1]", of the list above: what decided about process isolation
  std::string_view note;    // what to know beyond the answers, or ""
};

/// How a host of this kind and version runs the image.
Verdict judge(const WindowsVersion& image, WindowsKind kind, const WindowsVersion& host);

}  // namespace bulkhead::compat
