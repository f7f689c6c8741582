// Hardware virtualization: the CPU's flag, the device, and a guest that really runs. Without it VMs are emulated: slower, and
// software is the wall.
#include <fmt/format.h>
#include <unistd.h>

#include "doctor/doctor.h"
#include "host/cpu_flags.h"
#include "host/kvm_probe.h"
#include "support/error.h"
#include "support/files.h"

namespace bulkhead::doctor {
namespace {

Check check_processor(const std::string& cpuinfo) {
  bool there = host::has_virtualization_flag(cpuinfo);
  return {.need = Need::kHyperv,
          .health = there ? Health::kOk : Health::kWeak,
          .subject = "CPU virtualization",
          .found = there ? "vmx or svm" : "this CPU offers none (neither vmx nor svm): guests are emulated",
          .remedy = there ? "" : "switch VT-x or AMD-V on in the firmware; in a VM, nested virtualization in its host"};
}

const char* module_of(const std::string& cpuinfo) {
  return cpuinfo.find("AuthenticAMD") != std::string::npos ? "kvm_amd" : "kvm_intel";
}

Check check_kvm(const std::string& cpuinfo) {
  host::KvmProbe probe = host::probe_kvm();
  Check check{.need = Need::kHyperv, .health = Health::kWeak, .subject = "KVM", .found = probe.reason, .remedy = {}};
  bool flag = host::has_virtualization_flag(cpuinfo);
  switch (probe.answer) {
    case host::KvmAnswer::kWorks:
      check.health = flag ? Health::kOk : Health::kWeak;
      if (!flag) {
        check.found += ", but without the CPU's help: guests are emulated";
      }
      break;
    case host::KvmAnswer::kAbsent:
      check.remedy = flag ? fmt::format("modprobe {}", module_of(cpuinfo)) : "none, while the CPU offers no virtualization";
      break;
    case host::KvmAnswer::kDenied: check.remedy = "run as root, or chmod 0660 /dev/kvm and join its group"; break;
    case host::KvmAnswer::kBroken:
      check.remedy = "switch virtualization on in the firmware; in a VM, nested virtualization in its host";
      break;
    case host::KvmAnswer::kStuck: check.remedy = "try again when the machine is less busy"; break;
  }
  return check;
}

}  // namespace

Checks kvm_checks() {
  std::string cpuinfo;
  try {
    cpuinfo = read_file("/proc/cpuinfo");
  } catch (const Error& error) {
    return {{.need = Need::kHyperv,
             .health = Health::kWeak,
             .subject = "CPU virtualization",
             .found = error.message(),
             .remedy = {}}};
  }
  return {check_processor(cpuinfo), check_kvm(cpuinfo)};
}

}  // namespace bulkhead::doctor
