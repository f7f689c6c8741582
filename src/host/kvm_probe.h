// Does KVM work here? /dev/kvm alone proves nothing: it is there on hosts whose hypervisor then runs no guest. So a guest of
// five instructions is run, in a child process that is killed when its time is up.
//
// May be called from any thread of any process that may open /dev/kvm; blocks until the guest has run or the time is up.
#pragma once

#include <chrono>
#include <filesystem>
#include <string>

namespace bulkhead::host {

enum class KvmAnswer {
  kWorks,
  kAbsent,  // no /dev/kvm
  kDenied,  // there, but not for this user
  kBroken,  // there, and it runs no guest
  kStuck,   // the guest did not end in time: perhaps the machine is just busy
};

struct KvmProbe {
  KvmAnswer answer = KvmAnswer::kAbsent;
  std::string reason;  // in words
};

KvmProbe probe_kvm(std::chrono::milliseconds limit = std::chrono::milliseconds(1000),
                   const std::filesystem::path& device = "/dev/kvm");

}  // namespace bulkhead::host
