// What the child tells its parent over their socket pair (SOCK_SEQPACKET), and what the parent answers.
#pragma once

#include <cstdint>

namespace bulkhead::runner {

/// What the child was doing when it failed. `describe` (failure.h) turns it into words.
enum class Step : uint32_t {
  kUserNamespace,
  kEnterCgroup,
  kSession,
  kJoinNamespace,
  kCgroupNamespace,
  kHostname,
  kDomainname,
  kPropagation,
  kMountSource,
  kFilesystem,
  kRootfsMount,
  kRootfs,
  kMountTarget,
  kNotProc,
  kInsideProc,
  kMountAttributes,
  kMountAttach,
  kSysctlMount,
  kSysctl,
  kDevice,
  kDeviceLink,
  kTerminal,
  kConsole,
  kNullDevice,
  kMask,
  kReadonlyPath,
  kMakePath,
  kMakeCwd,
  kPivot,
  kReadonlyRoot,
  kRootPropagation,
  kStreams,
  kApparmor,
  kRlimit,
  kBounding,
  kGroups,
  kUser,
  kCapabilities,
  kCwd,
  kCwdOutside,
  kParentDeath,
  kNoNewPrivileges,
  kCloseDescriptors,
  kLookup,
  kSeccomp,
  kExecute,
};

enum class ReportKind : uint32_t { kConsole, kReady, kFailed };

struct Report {
  ReportKind kind = ReportKind::kFailed;
  Step step = Step::kExecute;
  uint32_t index = 0;  // which mount, device, ... of the plan
  int32_t error = 0;
};

enum class Command : uint8_t { kMapped = 'M', kStart = 'S' };

}  // namespace bulkhead::runner
