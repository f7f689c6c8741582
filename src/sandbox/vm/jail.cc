#include "sandbox/vm/jail.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/sched.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdint>
#include <deque>
#include <random>

#include "linux/pidfd.h"
#include "support/error.h"
#include "support/files.h"
#include "support/pipe.h"

namespace bulkhead::sandbox::vm {
namespace {

constexpr int kFirstFree = 64;  // the jail's own descriptor numbers are below

enum class Step : int {
  kCgroup,
  kPropagation,
  kRoot,
  kEntry,
  kBind,
  kProc,
  kShare,
  kPivot,
  kFiles,
  kLimits,
  kCapabilities,
  kUser,
  kFilter,
  kExecute
};

constexpr std::array kStepNames = {"enter the cgroup",
                                   "make the mounts private",
                                   "mount the root",
                                   "make an entry of the root",
                                   "bind into the root",
                                   "mount /proc",
                                   "share",
                                   "change the root",
                                   "place descriptors",
                                   "set limits",
                                   "drop capabilities",
                                   "change the user",
                                   "filter system calls",
                                   "execute"};

struct Report {
  Step step;
  int error;
  int index;
};

/// What the child works from: nothing in it is made by the child (it may not allocate).
struct Plan {
  struct Entry {
    std::string path;  // relative to the root
    mode_t kind = S_IFDIR;
  };
  struct Bind {
    std::string source, target;
    unsigned long flags = 0;
  };
  struct Link {
    std::string path, text;
  };
  std::vector<Entry> entries;
  std::vector<Bind> binds;
  std::vector<Link> links;
  std::vector<char*> argv;
  std::string staging;
  std::vector<std::pair<int, int>> files;  // from, to
  int null = -1;
  std::vector<std::pair<int, std::string>> shares;  // detached mount, where
  int user_namespace = -1;
  std::vector<int> cgroup_entrances;
  uid_t user = 0;
  std::vector<gid_t> groups;
  sock_fprog filter{};
  unsigned filter_flags = 0;
  int channel = -1;
};

[[noreturn]] void fail(const Plan& plan, Step step, int index = 0) {
  Report report{.step = step, .error = errno, .index = index};
  [[maybe_unused]] auto written = ::write(plan.channel, &report, sizeof(report));
  ::_exit(127);
}

void check(const Plan& plan, long result, Step step, int index = 0) {
  if (result < 0) {
    fail(plan, step, index);
  }
}

/// A tmpfs that holds the mount points, then the binds, then read-only.
void build_root(const Plan& plan) {
  check(plan, ::mount("", "/", nullptr, MS_REC | MS_PRIVATE, nullptr), Step::kPropagation);
  check(plan, ::mount("tmpfs", plan.staging.c_str(), "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, "size=64k,mode=0755"),
        Step::kRoot);
  check(plan, ::chdir(plan.staging.c_str()), Step::kRoot);
  for (size_t i = 0; i < plan.entries.size(); ++i) {
    const char* path = plan.entries[i].path.c_str();
    long made = S_ISDIR(plan.entries[i].kind) ? ::mkdir(path, 0755) : ::mknod(path, S_IFREG | 0444, 0);
    check(plan, made < 0 && errno == EEXIST ? 0 : made, Step::kEntry, static_cast<int>(i));
  }
  for (const Plan::Link& link : plan.links) {
    check(plan, ::symlink(link.text.c_str(), link.path.c_str()), Step::kEntry);
  }
  for (size_t i = 0; i < plan.binds.size(); ++i) {
    const Plan::Bind& bind = plan.binds[i];
    check(plan, ::mount(bind.source.c_str(), bind.target.c_str(), nullptr, MS_BIND, nullptr), Step::kBind, static_cast<int>(i));
    check(plan, ::mount(nullptr, bind.target.c_str(), nullptr, MS_REMOUNT | MS_BIND | bind.flags, nullptr), Step::kBind,
          static_cast<int>(i));
  }
  // QEMU's file server changes modes by way of /proc/self/fd. Its own process is all that is in there (proc(5), subset=pid).
  check(plan, ::mkdir("proc", 0555), Step::kEntry);
  check(plan, ::mount("proc", "proc", "proc", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, "subset=pid"), Step::kProc);
  for (size_t i = 0; i < plan.shares.size(); ++i) {
    const auto& [mount, target] = plan.shares[i];
    check(plan, ::move_mount(mount, "", AT_FDCWD, target.c_str(), MOVE_MOUNT_F_EMPTY_PATH), Step::kShare, static_cast<int>(i));
  }
  check(plan, ::mount(nullptr, ".", nullptr, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr),
        Step::kRoot);
  check(plan, ::syscall(SYS_pivot_root, ".", "."), Step::kPivot);
  check(plan, ::umount2(".", MNT_DETACH), Step::kPivot);
  check(plan, ::chdir("/"), Step::kPivot);
}

void place_files(Plan& plan) {
  // First out of the way of the numbers that are wanted, then to them.
  for (auto& [from, to] : plan.files) {
    from = ::fcntl(from, F_DUPFD_CLOEXEC, kFirstFree);
    check(plan, from, Step::kFiles);
  }
  plan.channel = ::fcntl(plan.channel, F_DUPFD_CLOEXEC, kFirstFree);
  if (plan.user_namespace >= 0) {
    plan.user_namespace = ::fcntl(plan.user_namespace, F_DUPFD_CLOEXEC, kFirstFree);
    check(plan, plan.user_namespace, Step::kFiles);
  }
  for (int fd = 0; fd < 3; ++fd) {
    check(plan, ::dup2(plan.null, fd), Step::kFiles);
  }
  check(plan, ::syscall(SYS_close_range, 3, kFirstFree - 1, 0), Step::kFiles);
  for (auto& [from, to] : plan.files) {
    check(plan, ::dup2(from, to), Step::kFiles);
  }
  check(plan, ::syscall(SYS_close_range, kFirstFree, ~0U, CLOSE_RANGE_CLOEXEC), Step::kFiles);
}

void limit(const Plan& plan) {
  rlimit none{.rlim_cur = 0, .rlim_max = 0};
  check(plan, ::setrlimit(RLIMIT_CORE, &none), Step::kLimits);  // a core would hold the guest's memory
  rlimit files{.rlim_cur = 4096, .rlim_max = 4096};
  rlimit now{};
  check(plan, ::getrlimit(RLIMIT_NOFILE, &now), Step::kLimits);
  if (now.rlim_max > files.rlim_max) {
    check(plan, ::setrlimit(RLIMIT_NOFILE, &files), Step::kLimits);
  }
}

/// What serving files takes (capabilities(7)), where there are shares.
constexpr uint64_t kFileCapabilities =
    1UL << CAP_CHOWN | 1UL << CAP_DAC_OVERRIDE | 1UL << CAP_FOWNER | 1UL << CAP_FSETID | 1UL << CAP_DAC_READ_SEARCH;

void drop_privileges(const Plan& plan) {
  uint64_t kept = 0;
  uid_t user = plan.user;
  if (plan.user_namespace >= 0) {
    check(plan, ::setns(plan.user_namespace, CLONE_NEWUSER), Step::kUser);
    kept = kFileCapabilities;
    user = 0;  // there
  }
  for (int capability = 0; capability < 64; ++capability) {
    if ((kept >> capability & 1) != 0) {
      continue;
    }
    if (::prctl(PR_CAPBSET_DROP, capability, 0, 0, 0) != 0 && errno != EINVAL) {
      fail(plan, Step::kCapabilities, capability);
    }
  }
  // By number: glibc's wrappers would tell other threads, of which this copy of a process has none.
  check(plan, ::syscall(SYS_setgroups, plan.groups.size(), plan.groups.data()), Step::kUser);
  check(plan, ::syscall(SYS_setresgid, user, user, user), Step::kUser);
  check(plan, ::syscall(SYS_setresuid, user, user, user), Step::kUser);
  __user_cap_header_struct header{.version = _LINUX_CAPABILITY_VERSION_3, .pid = 0};
  __user_cap_data_struct sets[2] = {};
  for (size_t i = 0; i < 2; ++i) {
    sets[i].effective = sets[i].permitted = static_cast<uint32_t>(kept >> (32 * i));
  }
  check(plan, ::syscall(SYS_capset, &header, sets), Step::kCapabilities);
  check(plan, ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), Step::kCapabilities);
}

[[noreturn]] void run_child(Plan& plan) {
  for (int entrance : plan.cgroup_entrances) {
    check(plan, ::write(entrance, "0", 1), Step::kCgroup);
  }
  sigset_t nothing;
  ::sigemptyset(&nothing);
  ::sigprocmask(SIG_SETMASK, &nothing, nullptr);
  ::setsid();
  build_root(plan);
  place_files(plan);
  limit(plan);
  drop_privileges(plan);
  check(plan, ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, plan.filter_flags, &plan.filter), Step::kFilter);
  char* environment[] = {nullptr};
  ::execve(plan.argv[0], plan.argv.data(), environment);
  fail(plan, Step::kExecute);
}

void add_entry(Plan& plan, const std::string& target, mode_t kind) {
  for (size_t slash = target.find('/', 1); slash != std::string::npos; slash = target.find('/', slash + 1)) {
    plan.entries.push_back({.path = target.substr(1, slash - 1), .kind = S_IFDIR});
  }
  plan.entries.push_back({.path = target.substr(1), .kind = kind});
}

void add_bind(Plan& plan, const JailBind& bind) {
  bool folder = std::filesystem::is_directory(bind.source);
  add_entry(plan, bind.target, folder ? S_IFDIR : S_IFREG);
  plan.binds.push_back({.source = bind.source,
                        .target = bind.target.substr(1),
                        .flags = MS_RDONLY | MS_NOSUID | (bind.device ? 0UL : static_cast<unsigned long>(MS_NODEV))});
}

/// The folders that Debian's dynamic linker and QEMU look into.
void add_program(Plan& plan, const std::string& program) {
  add_bind(plan, {.source = program, .target = program});
  for (const char* folder : {"/usr/lib/x86_64-linux-gnu", "/usr/lib64", "/usr/share/qemu", "/usr/share/seabios"}) {
    std::error_code ignored;
    if (std::filesystem::is_directory(folder, ignored)) {
      add_bind(plan, {.source = folder, .target = folder});
    }
  }
  plan.links = {{.path = "lib", .text = "usr/lib"}, {.path = "lib64", .text = "usr/lib64"}};
}

void await_execution(int channel, const JailSpec& spec) {
  Report report{};
  ssize_t count = 0;
  do {
    count = ::read(channel, &report, sizeof(report));
  } while (count < 0 && errno == EINTR);
  if (count != 0) {  // the channel closes as the program executes
    auto name = kStepNames.at(static_cast<size_t>(report.step));
    throw system_error(fmt::format("start '{}' in its jail: {} ({})", spec.arguments[0], name, report.index), report.error);
  }
}

}  // namespace

uid_t choose_jail_user() {
  // Above what accounts and user namespaces (/etc/subuid) are given by default; systemd leaves this range alone too.
  constexpr uid_t kFirst = 0x70000000;
  std::random_device random;
  return kFirst + (random() & 0xff0000U);
}

Jailed start_jailed(JailSpec spec) {
  Plan plan;
  add_program(plan, spec.arguments[0]);
  std::for_each(spec.binds.begin(), spec.binds.end(), [&](const JailBind& bind) { add_bind(plan, bind); });
  std::for_each(spec.folders.begin(), spec.folders.end(), [&](const std::string& path) { add_entry(plan, path, S_IFDIR); });
  std::transform(spec.arguments.begin(), spec.arguments.end(), std::back_inserter(plan.argv),
                 [](auto& text) { return text.data(); });
  plan.argv.push_back(nullptr);
  plan.staging = spec.staging;
  plan.user = spec.user;
  plan.filter = {.len = static_cast<unsigned short>(spec.filter.program.size()), .filter = spec.filter.program.data()};
  plan.filter_flags = spec.filter.flags;
  plan.groups = spec.groups;
  std::transform(spec.files.begin(), spec.files.end(), std::back_inserter(plan.files),
                 [](const JailedFile& file) { return std::pair(file.file.get(), file.number); });
  for (size_t i = 0; i < spec.shares.size(); ++i) {
    std::string target = fmt::format("{}/{}", spec.shares_folder, i);
    add_entry(plan, target, spec.shares[i].kind == ShareKind::kFolder ? S_IFDIR : S_IFREG);
    plan.shares.emplace_back(spec.shares[i].mount.get(), target.substr(1));
  }
  plan.user_namespace = spec.user_namespace.get();
  UniqueFd null = open_file("/dev/null", O_RDWR);
  plan.null = null.get();

  Pipe channel;
  plan.channel = channel.write.get();

  std::vector<UniqueFd> entrances;
  UniqueFd cgroup_folder;
  clone_args arguments{};
  int pidfd = -1;
  arguments.flags = CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWNET | CLONE_NEWUTS | CLONE_NEWCGROUP | CLONE_PIDFD |
                    CLONE_CLEAR_SIGHAND;
  arguments.pidfd = reinterpret_cast<uint64_t>(&pidfd);
  arguments.exit_signal = SIGCHLD;
  if (spec.cgroup != nullptr) {
    entrances = spec.cgroup->open_entrances();
    for (const UniqueFd& entrance : entrances) {
      plan.cgroup_entrances.push_back(entrance.get());
    }
    cgroup_folder = spec.cgroup->open_folder();
    if (cgroup_folder) {
      arguments.flags |= CLONE_INTO_CGROUP;
      arguments.cgroup = static_cast<uint64_t>(cgroup_folder.get());
    }
  }
  long pid = ::syscall(SYS_clone3, &arguments, sizeof(arguments));
  if (pid < 0) {
    throw system_error("make the process of a VM");
  }
  if (pid == 0) {
    run_child(plan);
  }
  Jailed jailed{.pid = static_cast<pid_t>(pid), .pidfd = UniqueFd(pidfd)};
  channel.write.reset();
  try {
    await_execution(channel.read.get(), spec);
  } catch (const Error&) {
    linux::wait_child(jailed.pidfd.get());
    throw;
  }
  return jailed;
}

}  // namespace bulkhead::sandbox::vm
