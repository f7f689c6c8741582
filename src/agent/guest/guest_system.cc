#include "agent/guest/guest_system.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/random.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <vector>

#include "agent/guest/emulator.h"
#include "agent/guest/modules.h"
#include "agent/protocol/agent.pb.h"
#include "agent/protocol/protocol.h"
#include "support/error.h"
#include "support/files.h"

namespace bulkhead::agent {
namespace {

void mount_new(const char* type, const char* target, unsigned long flags, const char* options) {
  if (::mkdir(target, 0755) != 0 && errno != EEXIST) {
    throw system_error(fmt::format("make '{}'", target));
  }
  if (::mount(type, target, type, flags, options) != 0) {
    throw system_error(fmt::format("mount {}", target));
  }
}

/// The kernel's first root can't be the old root of a pivot_root(2), which every container does: a tmpfs takes its place.
void leave_initramfs() {
  mount_new("tmpfs", "/root", MS_NOSUID | MS_NODEV, "mode=0755");
  // The initramfs stays below, out of reach; its agent is what a guest is warmed up with.
  open_file(std::string("/root") + kAgentProgram, O_WRONLY | O_CREAT, 0755);
  if (::mount("/init", (std::string("/root") + kAgentProgram).c_str(), nullptr, MS_BIND, nullptr) != 0) {
    throw system_error("keep the agent's program");
  }
  keep_modules("/root");
  if (::chdir("/root") != 0 || ::mount(".", "/", nullptr, MS_MOVE, nullptr) != 0 || ::chroot(".") != 0 || ::chdir("/") != 0) {
    throw system_error("make the guest's root");
  }
}

/// RNDADDENTROPY mixes and credits; RNDRESEEDCRNG makes every CPU's generator start again from the pool (random(4)).
void reseed(const std::string& entropy) {
  if (entropy.size() != kEntropySize) {
    throw Error(ErrorCode::kInvalidArgument, fmt::format("{} bytes of entropy instead of {}", entropy.size(), kEntropySize));
  }
  std::vector<int> request(2 + kEntropySize / sizeof(int));  // rand_pool_info: bits, bytes, data
  request[0] = static_cast<int>(kEntropySize * 8);
  request[1] = static_cast<int>(kEntropySize);
  std::memcpy(&request[2], entropy.data(), kEntropySize);
  UniqueFd random = open_file("/dev/urandom", O_RDWR);
  if (::ioctl(random.get(), RNDADDENTROPY, request.data()) != 0 || ::ioctl(random.get(), RNDRESEEDCRNG) != 0) {
    throw system_error("reseed the random generator");
  }
}

}  // namespace

void prepare_guest() {
  load_boot_modules();
  register_emulator();
  leave_initramfs();
  mount_new("devtmpfs", "/dev", MS_NOSUID, "mode=0755");
  UniqueFd null = open_file("/dev/null", O_RDWR);
  for (int fd = 0; fd < 3; ++fd) {  // the kernel gives none where the machine has no console
    if (null.get() != fd && ::fcntl(fd, F_GETFD) < 0) {
      ::dup2(null.get(), fd);
    }
  }
  if (null.get() < 3) {
    [[maybe_unused]] int kept = null.release();
    ::fcntl(kept, F_SETFD, 0);
  }
  mount_new("proc", "/proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr);
  mount_new("sysfs", "/sys", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr);
  if (::mount("cgroup2", "/sys/fs/cgroup", "cgroup2", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) != 0) {
    throw system_error("mount /sys/fs/cgroup");
  }
  mount_new("tmpfs", "/run", MS_NOSUID | MS_NODEV, "mode=0755");
  mount_new("devpts", "/dev/pts", MS_NOSUID | MS_NOEXEC, "mode=0620,ptmxmode=0666");
  mount_new("tmpfs", "/tmp", MS_NOSUID | MS_NODEV, "mode=01777");
  offer_modules();
  make_network();
}

UniqueFd open_host_port() {
  const std::filesystem::path ports = "/sys/class/virtio-ports";
  for (int attempt = 0; attempt < 2000; ++attempt) {
    std::error_code ignored;
    for (const auto& port : std::filesystem::directory_iterator(ports, ignored)) {
      if (read_file(port.path() / "name") == std::string(kPortName) + "\n") {
        return open_file("/dev" / port.path().filename(), O_RDWR | O_NONBLOCK);
      }
    }
    ::usleep(1000);
  }
  throw Error(ErrorCode::kUnavailable, "this machine has no port to the host");
}

void configure_guest(const wire::ConfigureRequest& request) {
  reseed(request.entropy());
  constexpr int64_t kSecond = 1'000'000'000;
  timespec time{.tv_sec = request.wall_clock_nanoseconds() / kSecond, .tv_nsec = request.wall_clock_nanoseconds() % kSecond};
  if (::clock_settime(CLOCK_REALTIME, &time) != 0) {
    throw system_error("set the clock");
  }
  if (::sethostname(request.hostname().data(), request.hostname().size()) != 0) {
    throw system_error(fmt::format("set the host name '{}'", request.hostname()));
  }
  if (request.has_network()) {
    configure_network(request.network());
  } else {
    take_network_away();
  }
}

void mount_shares() {
  make_folders(kSharesFolder);
  // No cache: changes are seen from both sides at once. cache=mmap,directio would allow MAP_SHARED for writing, but Linux 6.12
  // then opens for writing only without O_APPEND, and writes where it believes the end to be (docs/hyperv-mounts.md).
  // The guest's kernel checks permissions by the file's mode.
  if (::mount(kShareTag, kSharesFolder, "9p", 0, "trans=virtio,version=9p2000.L,msize=131072,cache=none,access=client") != 0) {
    throw system_error("mount the host's shared folders");
  }
}

void power_off() {
  ::sync();
  for (;;) {  // a microvm can't be powered off, but a restart is the end of QEMU (-no-reboot)
    ::reboot(RB_AUTOBOOT);
  }
}

}  // namespace bulkhead::agent
