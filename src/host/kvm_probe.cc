#include "host/kvm_probe.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/kvm.h>
#include <linux/sched.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <utility>

#include "support/error.h"
#include "support/pipe.h"
#include "support/unique_fd.h"

namespace bulkhead::host {
namespace {

enum class Step : int { kOpen, kVersion, kCreate, kMemory, kProcessor, kState, kRun, kDone };

constexpr std::array kStepNames = {"open the device",    "ask for the API's version", "create a VM", "give it memory",
                                   "create a processor", "set its registers",         "run it",      "all"};

/// What the child found out, written to a pipe in one piece.
struct Report {
  Step step = Step::kOpen;
  int error = 0;         // errno, 0 where something else was wrong
  unsigned outcome = 0;  // what was got instead: an API version, a KVM_EXIT_* reason
};

// The guest: 64-bit code, as the kernels that it stands for are, on page tables that map the first 2 MiB onto themselves.
constexpr uint64_t kPageMap4 = 0x1000, kPageDirectoryPointers = 0x2000, kPageDirectory = 0x3000, kCode = 0x4000;
constexpr uint64_t kGuestMemory = 0x8000;  // bytes
constexpr uint16_t kPort = 0x3f8;
// SSE2, which every 64-bit CPU has and KVM's instruction emulator has not: there are KVMs that emulate all of a guest's
// instructions one by one because the CPU offers no virtualization. They run a few integer instructions, and no kernel.
constexpr uint8_t kByte = 0xff;
constexpr std::array<uint8_t, 14> kProgram = {0x66, 0xba, kPort & 0xff, kPort >> 8,  // mov dx, kPort
                                              0x66, 0x0f, 0x76,         0xc0,        // pcmpeqd xmm0, xmm0
                                              0x66, 0x0f, 0xd7,         0xc0,        // pmovmskb eax, xmm0
                                              0xee,                                  // out dx, al
                                              0xf4};                                 // hlt

void write_guest(uint8_t* memory) {
  constexpr uint64_t kPresentWritable = 3, kLargePage = 0x80;
  auto put = [&](uint64_t address, uint64_t value) { std::memcpy(memory + address, &value, sizeof(value)); };
  put(kPageMap4, kPageDirectoryPointers | kPresentWritable);
  put(kPageDirectoryPointers, kPageDirectory | kPresentWritable);
  put(kPageDirectory, kPresentWritable | kLargePage);
  std::memcpy(memory + kCode, kProgram.data(), kProgram.size());
}

/// Intel's SDM, volume 3, 9.8.5: protected mode, paging with physical address extension, long mode enabled and active; and SSE.
void enter_long_mode(kvm_sregs& state) {
  constexpr uint64_t kProtected = 1, kExtensionType = 0x10, kPaging = 1UL << 31, kAddressExtension = 1 << 5, kSse = 1 << 9;
  constexpr uint64_t kLongModeEnabled = 1 << 8, kLongModeActive = 1 << 10;
  state.cr0 = kProtected | kExtensionType | kPaging;
  state.cr3 = kPageMap4;
  state.cr4 = kAddressExtension | kSse;
  state.efer = kLongModeEnabled | kLongModeActive;
  kvm_segment code{};
  code.limit = 0xffffffff;
  code.selector = 1 << 3;
  code.type = 11;  // execute, read, accessed
  code.present = code.s = code.l = code.g = 1;
  kvm_segment data = code;
  data.selector = 2 << 3;
  data.type = 3;  // read, write, accessed
  data.l = 0;
  data.db = 1;
  state.cs = code;
  state.ds = state.es = state.fs = state.gs = state.ss = data;
}

/// Everything between clone3 and _exit: raw system calls on memory that was there before, since other threads may hold locks.
class Guest {
 public:
  Guest(const char* device, uint8_t* memory, int channel) : device_(device), memory_(memory), channel_(channel) {}

  [[noreturn]] void run() {
    int kvm = check(::open(device_, O_RDWR | O_CLOEXEC), Step::kOpen);
    if (int version = check(::ioctl(kvm, KVM_GET_API_VERSION, 0), Step::kVersion); version != KVM_API_VERSION) {
      finish({.step = Step::kVersion, .error = 0, .outcome = static_cast<unsigned>(version)});
    }
    int machine = check(::ioctl(kvm, KVM_CREATE_VM, 0), Step::kCreate);
    // Where the processor can't run real mode directly KVM wants a place for a task state segment; others ignore it.
    (void)::ioctl(machine, KVM_SET_TSS_ADDR, 0xfffbd000);
    kvm_userspace_memory_region region{.slot = 0,
                                       .flags = 0,
                                       .guest_phys_addr = 0,
                                       .memory_size = kGuestMemory,
                                       .userspace_addr = reinterpret_cast<uint64_t>(memory_)};
    check(::ioctl(machine, KVM_SET_USER_MEMORY_REGION, &region), Step::kMemory);
    int processor = check(::ioctl(machine, KVM_CREATE_VCPU, 0), Step::kProcessor);
    int size = check(::ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), Step::kProcessor);
    void* shared = ::mmap(nullptr, static_cast<size_t>(size), PROT_READ | PROT_WRITE, MAP_SHARED, processor, 0);
    check(shared == MAP_FAILED ? -1 : 0, Step::kProcessor);
    set_state(processor);
    execute(processor, static_cast<kvm_run*>(shared));
  }

 private:
  void set_state(int processor) {
    kvm_sregs state{};
    check(::ioctl(processor, KVM_GET_SREGS, &state), Step::kState);
    enter_long_mode(state);
    check(::ioctl(processor, KVM_SET_SREGS, &state), Step::kState);
    kvm_regs registers{};
    registers.rip = kCode;
    registers.rsp = kGuestMemory;
    registers.rflags = 2;  // the bit that is always set
    check(::ioctl(processor, KVM_SET_REGS, &registers), Step::kState);
  }

  [[noreturn]] void execute(int processor, kvm_run* shared) {
    bool heard = false;
    for (;;) {
      if (::ioctl(processor, KVM_RUN, 0) < 0) {
        if (errno == EINTR || errno == EAGAIN) {
          continue;
        }
        fail(Step::kRun);
      }
      if (shared->exit_reason == KVM_EXIT_HLT && heard) {
        finish({.step = Step::kDone});
      }
      const auto* written = reinterpret_cast<const uint8_t*>(shared) + shared->io.data_offset;
      if (shared->exit_reason != KVM_EXIT_IO || heard || shared->io.direction != KVM_EXIT_IO_OUT || shared->io.port != kPort ||
          shared->io.size != 1 || *written != kByte) {
        finish({.step = Step::kRun, .error = 0, .outcome = shared->exit_reason});
      }
      heard = true;
    }
  }

  int check(int result, Step step) {
    if (result < 0) {
      fail(step);
    }
    return result;
  }
  [[noreturn]] void fail(Step step) { finish({.step = step, .error = errno}); }
  [[noreturn]] void finish(Report report) {
    [[maybe_unused]] ssize_t written = ::write(channel_, &report, sizeof(report));
    ::_exit(0);
  }

  const char* device_;
  uint8_t* memory_;
  int channel_;
};

class GuestMemory {
 public:
  GuestMemory()
      : start_(::mmap(nullptr, kGuestMemory, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0)) {
    if (start_ == MAP_FAILED) {
      throw system_error("get memory for a guest");
    }
    write_guest(bytes());
  }
  ~GuestMemory() { ::munmap(start_, kGuestMemory); }
  GuestMemory(const GuestMemory&) = delete;
  GuestMemory& operator=(const GuestMemory&) = delete;
  uint8_t* bytes() const { return static_cast<uint8_t*>(start_); }

 private:
  void* start_;
};

struct Child {
  pid_t pid;
  UniqueFd pidfd, channel;
};

Child start_guest(const char* device, const GuestMemory& memory) {
  Pipe channel;
  int pidfd = -1;
  clone_args arguments{};
  arguments.flags = CLONE_PIDFD | CLONE_CLEAR_SIGHAND;
  arguments.pidfd = reinterpret_cast<uint64_t>(&pidfd);
  arguments.exit_signal = SIGCHLD;
  Guest guest(device, memory.bytes(), channel.write.get());
  long pid = ::syscall(SYS_clone3, &arguments, sizeof(arguments));
  if (pid < 0) {
    throw system_error("make a process for the probe of KVM");
  }
  if (pid == 0) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
    guest.run();
  }
  return {.pid = static_cast<pid_t>(pid), .pidfd = UniqueFd(pidfd), .channel = std::move(channel.read)};
}

bool readable_within(int fd, std::chrono::milliseconds limit) {
  auto end = std::chrono::steady_clock::now() + limit;
  for (;;) {
    auto left = std::chrono::duration_cast<std::chrono::milliseconds>(end - std::chrono::steady_clock::now());
    pollfd entry{.fd = fd, .events = POLLIN, .revents = 0};
    int count = ::poll(&entry, 1, static_cast<int>(std::max<int64_t>(left.count(), 0)));
    if (count >= 0 || errno != EINTR) {
      return count > 0;
    }
  }
}

/// Kills and collects the child. One that hangs in the kernel for good is left to it: waiting would hang us too.
void end_child(const Child& child) {
  constexpr std::chrono::milliseconds kPatience(500);
  (void)::syscall(SYS_pidfd_send_signal, child.pidfd.get(), SIGKILL, nullptr, 0);
  if (readable_within(child.pidfd.get(), kPatience)) {
    while (::waitpid(child.pid, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
}

std::string describe_exit(unsigned reason) {
  return reason == KVM_EXIT_INTERNAL_ERROR ? "KVM gave up on the guest's code, which it emulates instead of running it"
                                           : fmt::format("the guest stopped for reason {}", reason);
}

KvmProbe explain(const Report& report, const std::filesystem::path& device) {
  if (report.step == Step::kDone) {
    return {.answer = KvmAnswer::kWorks, .reason = "a guest ran under KVM"};
  }
  if (report.step == Step::kOpen) {
    bool denied = report.error == EACCES || report.error == EPERM;
    return {.answer = denied ? KvmAnswer::kDenied : KvmAnswer::kAbsent,
            .reason = fmt::format("{} can't be opened: {}", device.native(), std::strerror(report.error))};
  }
  const char* step = kStepNames.at(static_cast<size_t>(report.step));
  std::string why = report.error != 0               ? std::strerror(report.error)
                    : report.step == Step::kVersion ? fmt::format("it is {}, not {}", report.outcome, KVM_API_VERSION)
                                                    : describe_exit(report.outcome);
  return {.answer = KvmAnswer::kBroken,
          .reason = fmt::format("{} is there, but no guest runs under it ({}: {})", device.native(), step, why)};
}

}  // namespace

KvmProbe probe_kvm(std::chrono::milliseconds limit, const std::filesystem::path& device) {
  GuestMemory memory;
  Child child = start_guest(device.c_str(), memory);
  Report report;
  // The pipe also becomes readable where the child dies without a word.
  bool answered = readable_within(child.channel.get(), limit);
  ssize_t size = answered ? ::read(child.channel.get(), &report, sizeof(report)) : 0;
  end_child(child);
  if (!answered) {
    return {.answer = KvmAnswer::kStuck,
            .reason = fmt::format("a guest under {} did not end within {} ms", device.native(), limit.count())};
  }
  if (size != sizeof(report)) {
    return {.answer = KvmAnswer::kBroken,
            .reason = fmt::format("{} is there, but what ran a guest under it was killed", device.native())};
  }
  return explain(report, device);
}

}  // namespace bulkhead::host
