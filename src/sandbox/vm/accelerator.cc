#include "sandbox/vm/accelerator.h"

#include <fcntl.h>
#include <time.h>
#include <unistd.h>
#include <x86intrin.h>

#include <algorithm>

#include "host/cpu_flags.h"
#include "host/kvm_probe_cache.h"
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

AcceleratorChoice choose_accelerator(const std::filesystem::path& cache_folder) {
  // Without the CPU's help what /dev/kvm offers is no hardware wall, whatever runs under it.
  if (!host::has_virtualization_flag(read_file("/proc/cpuinfo"))) {
    return {.accelerator = Accelerator::kTcg,
            .reason = "this CPU offers no hardware virtualization (neither vmx nor svm): the guest is emulated"};
  }
  host::KvmProbe probe = host::probe_kvm_once(cache_folder);
  if (probe.answer != host::KvmAnswer::kWorks) {
    return {.accelerator = Accelerator::kTcg,
            .reason = probe.reason + ": the guest is emulated; 'bulkhead doctor' says what would mend it"};
  }
  return {.accelerator = Accelerator::kKvm, .reason = "the CPU offers hardware virtualization, and " + probe.reason};
}

uint32_t time_stamp_rate() {
  static const uint32_t kRate = measure_rate();
  return kRate;
}

}  // namespace bulkhead::sandbox::vm
