#include "doctor/doctor.h"

#include <iterator>

namespace bulkhead::doctor {

Checks examine(const Places& places) {
  Checks all;
  for (Checks some : {kernel_checks(), cgroup_checks(), network_checks(), guest_checks(places), kvm_checks()}) {
    std::move(some.begin(), some.end(), std::back_inserter(all));
  }
  return all;
}

}  // namespace bulkhead::doctor
