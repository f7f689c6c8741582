#include "sandbox/vm/accelerator.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#include <algorithm>

#include "support/files.h"

namespace bulkhead::sandbox::vm {
namespace {

struct Instant {
  int64_t nanoseconds;
  uint64_t counter;
};

/// The best of a few tries: an interruption between the two readings would spoil the rate.
Instant read_both() {
  Instant best{};
  uint64_t best_gap = UINT64_MAX;
  for (int i = 0; i < 16; ++i) {
    uint64_t before = __rdtsc();
    timespec time{};
    ::clock_gettime(CLOCK_MONOTONIC_RAW, &time);
    uint64_t after = __rdtsc();
    if (after - before < best_gap) {
      best_gap = after - before;
      best = {.nanoseconds = time.tv_sec * 1'000'000'000L + time.tv_nsec, .counter = before + best_gap / 2};
    }
  }
  return best;
}

uint32_t measure_rate() {
  Instant begin = read_both();
  ::usleep(20'000);
  Instant end = read_both();
  return static_cast<uint32_t>(static_cast<double>(end.counter - begin.counter) * 1e6 /
                               static_cast<double>(end.nanoseconds - begin.nanoseconds));
}

}  // namespace

bool has_virtualization_flag(std::string_view cpuinfo) {
  size_t begin = cpuinfo.find("\nflags");
  if (begin == std::string_view::npos) {
    return false;
  }
  std::string flags(cpuinfo.substr(begin + 1, cpuinfo.find('\n', begin + 1) - begin - 1));
  flags += ' ';
  return flags.find(" vmx ") != std::string::npos || flags.find(" svm ") != std::string::npos;
}

AcceleratorChoice choose_accelerator() {
  if (!has_virtualization_flag(read_file("/proc/cpuinfo"))) {
    return {.accelerator = Accelerator::kTcg,
            .reason = "this CPU offers no hardware virtualization (neither vmx nor svm): the guest is emulated"};
  }
  if (::access("/dev/kvm", R_OK | W_OK) != 0) {
    return {.accelerator = Accelerator::kTcg,
            .reason = "/dev/kvm is missing or not accessible: the guest is emulated; load the module kvm_intel or kvm_amd"};
  }
  return {.accelerator = Accelerator::kKvm, .reason = "the CPU offers hardware virtualization and /dev/kvm is there"};
}

uint32_t time_stamp_rate() {
  static const uint32_t kRate = measure_rate();
  return kRate;
}

}  // namespace bulkhead::sandbox::vm
