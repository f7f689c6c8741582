#include "compat/windows_hosts.h"

#include <algorithm>
#include <array>
#include <limits>

namespace bulkhead::compat {
namespace {

constexpr uint32_t kServer2016 = 14393;  // the first with containers
constexpr uint32_t kServer2019 = 17763;
constexpr uint32_t kVersion2004 = 19041;
constexpr uint32_t kVersion20H2 = 19042;
constexpr uint32_t kServer2022 = 20348;
constexpr uint32_t kWindows11 = 22000;
constexpr uint32_t kServer23H2 = 25398;
constexpr uint32_t kServer2025 = 26100;
constexpr uint32_t kNewest = std::numeric_limits<uint32_t>::max();

using Kind = WindowsKind;

constexpr std::array kReleases = {
    WindowsRelease{Kind::kServer, kServer2016, "Windows Server 2016"},
    WindowsRelease{Kind::kServer, 16299, "Windows Server, version 1709"},
    WindowsRelease{Kind::kServer, 17134, "Windows Server, version 1803"},
    WindowsRelease{Kind::kServer, kServer2019, "Windows Server 2019"},
    WindowsRelease{Kind::kServer, 18362, "Windows Server, version 1903"},
    WindowsRelease{Kind::kServer, 18363, "Windows Server, version 1909"},
    WindowsRelease{Kind::kServer, kVersion2004, "Windows Server, version 2004"},
    WindowsRelease{Kind::kServer, kVersion20H2, "Windows Server, version 20H2"},
    WindowsRelease{Kind::kServer, kServer2022, "Windows Server 2022"},
    WindowsRelease{Kind::kServer, kServer23H2, "Windows Server, version 23H2"},
    WindowsRelease{Kind::kServer, kServer2025, "Windows Server 2025"},
    WindowsRelease{Kind::kClient, kServer2016, "Windows 10, version 1607"},
    WindowsRelease{Kind::kClient, 15063, "Windows 10, version 1703"},
    WindowsRelease{Kind::kClient, 16299, "Windows 10, version 1709"},
    WindowsRelease{Kind::kClient, 17134, "Windows 10, version 1803"},
    WindowsRelease{Kind::kClient, kServer2019, "Windows 10, version 1809"},
    WindowsRelease{Kind::kClient, 18362, "Windows 10, version 1903"},
    WindowsRelease{Kind::kClient, 18363, "Windows 10, version 1909"},
    WindowsRelease{Kind::kClient, kVersion2004, "Windows 10, version 2004"},
    WindowsRelease{Kind::kClient, kVersion20H2, "Windows 10, version 20H2"},
    WindowsRelease{Kind::kClient, 19045, "Windows 10, version 22H2"},
    WindowsRelease{Kind::kClient, kWindows11, "Windows 11, version 21H2"},
    WindowsRelease{Kind::kClient, 22621, "Windows 11, version 22H2"},
    WindowsRelease{Kind::kClient, 22631, "Windows 11, version 23H2"},
    WindowsRelease{Kind::kClient, kServer2025, "Windows 11, version 24H2"},
    WindowsRelease{Kind::kClient, 26200, "Windows 11, version 25H2"},
};

/// What a host's kernel takes in process isolation, besides nothing newer than itself.
enum class Reach {
  kNothing,
  kEqualBuild,
  kEqualRevision,  // build and revision
  kFromOldest,     // images from `oldest` up to the host's build
  kOldestOnly,     // images of the build `oldest`
};

struct ProcessRule {
  WindowsKind kind;
  uint32_t first_host, last_host;  // builds
  Reach reach;
  uint32_t oldest;  // build of the oldest image, where the reach has one
  std::string_view source;
};

// The first row that holds the host decides.
constexpr std::array kProcessRules = {
    ProcessRule{Kind::kServer, kServer2016, kServer2016, Reach::kEqualRevision, 0, "[1]"},
    ProcessRule{Kind::kServer, kServer2016 + 1, kServer2019 - 1, Reach::kEqualBuild, 0, "[3]"},
    ProcessRule{Kind::kServer, kServer2019, kServer2019, Reach::kEqualBuild, 0, "[1]"},
    ProcessRule{Kind::kServer, kServer2019 + 1, kServer2022 - 1, Reach::kEqualBuild, 0, "[2]"},
    ProcessRule{Kind::kServer, kServer2022, kServer2022, Reach::kEqualBuild, 0, "[1]"},
    ProcessRule{Kind::kServer, kServer23H2, kServer23H2, Reach::kOldestOnly, kServer2022, "[4]"},
    ProcessRule{Kind::kServer, kServer2025, kServer2025, Reach::kFromOldest, kServer2022, "[1]"},
    ProcessRule{Kind::kServer, kServer2022 + 1, kServer2025 - 1, Reach::kFromOldest, kServer2022, "[5]"},
    ProcessRule{Kind::kServer, kServer2025 + 1, kNewest, Reach::kFromOldest, kServer2025, "[5]"},
    ProcessRule{Kind::kClient, kServer2016, kServer2019 - 1, Reach::kNothing, 0, "[3]"},
    ProcessRule{Kind::kClient, kVersion2004, kVersion20H2, Reach::kEqualBuild, 0, "[2]"},
    ProcessRule{Kind::kClient, kServer2019, kWindows11 - 1, Reach::kNothing, 0, "[1]"},
    ProcessRule{Kind::kClient, kWindows11, kNewest, Reach::kFromOldest, kServer2022, "[1]"},
};

Answer equal_revision(const WindowsVersion& image, const WindowsVersion& host) {
  if (!image.revision || !host.revision) {
    return Answer::kRunsWithEqualRevision;
  }
  return *image.revision == *host.revision ? Answer::kRuns : Answer::kRefused;
}

Answer process_answer(const ProcessRule& rule, const WindowsVersion& image, const WindowsVersion& host) {
  auto when = [](bool fits) { return fits ? Answer::kRuns : Answer::kRefused; };
  switch (rule.reach) {
    case Reach::kNothing: return Answer::kRefused;
    case Reach::kEqualBuild: return when(image.build == host.build);
    case Reach::kEqualRevision: return image.build == host.build ? equal_revision(image, host) : Answer::kRefused;
    case Reach::kFromOldest: return when(image.build >= rule.oldest && image.build <= host.build);
    case Reach::kOldestOnly: return when(image.build == rule.oldest);
  }
  return Answer::kRefused;
}

std::string_view note_for(const Verdict& verdict, const WindowsVersion& image, WindowsKind kind, const WindowsVersion& host) {
  if (kind == Kind::kServer) {
    return host.build > kServer2025 ? "newer than Microsoft's tables: by the rule of [5]" : "";
  }
  if (verdict.process == Answer::kRefused) {
    bool undecided = image.build == host.build && host.build >= kServer2019;
    return undecided ? "[6] lets equal builds run in process isolation for development and test" : "";
  }
  // [5] against [1]: the page makes no difference between the releases of Windows 11, containerd's code does.
  return host.build > kServer2025 && image.build < kServer2025
             ? "in process isolation for development and test [6]; containerd refuses it there [5]"
             : "in process isolation for development and test [6]";
}

}  // namespace

std::span<const WindowsRelease> windows_releases() { return kReleases; }

std::string_view image_name(uint32_t build) {
  // Images are named after servers, and 23H2 had none.
  const auto* found = std::find_if(kReleases.begin(), kReleases.end(), [&](const WindowsRelease& release) {
    return release.kind == Kind::kServer && release.build == build && build != kServer23H2;
  });
  return found == kReleases.end() ? std::string_view() : found->name;
}

Verdict judge(const WindowsVersion& image, WindowsKind kind, const WindowsVersion& host) {
  Verdict verdict;
  bool same_line = image.major == host.major && image.minor == host.minor && image.major == 10 && image.minor == 0;
  if (!same_line || image.build < kServer2016 || host.build < kServer2016) {
    verdict.source = "[1]";
    verdict.note = "containers begin with Windows 10.0, build 14393";
    return verdict;
  }
  // A VM brings the image's own kernel, which the host must be able to carry: nothing newer than itself.
  verdict.hyperv = image.build <= host.build ? Answer::kRuns : Answer::kRefused;
  const auto* rule = std::find_if(kProcessRules.begin(), kProcessRules.end(), [&](const ProcessRule& candidate) {
    return candidate.kind == kind && candidate.first_host <= host.build && host.build <= candidate.last_host;
  });
  if (rule != kProcessRules.end()) {
    verdict.process = process_answer(*rule, image, host);
    verdict.source = rule->source;
  }
  verdict.note = note_for(verdict, image, kind, host);
  return verdict;
}

}  // namespace bulkhead::compat
