#include "runner/default_seccomp.h"

#include <sched.h>

#include <algorithm>
#include <cerrno>
#include <sstream>
#include <string_view>

namespace bulkhead::runner {

namespace {

// Grouped by meaning. Names of other architectures than the host's are skipped when the profile is compiled.

constexpr const char* kFiles =
    "access chdir chmod chown chown32 close close_range copy_file_range creat dup dup2 dup3 faccessat faccessat2 fadvise64 "
    "fadvise64_64 fallocate fchdir fchmod fchmodat fchmodat2 fchown fchown32 fchownat fcntl fcntl64 fdatasync flock fstat "
    "fstat64 "
    "fstatat64 fstatfs fstatfs64 fsync ftruncate ftruncate64 futimesat getcwd getdents getdents64 ioctl lchown lchown32 link "
    "linkat _llseek lseek lstat lstat64 mkdir mkdirat mknod mknodat name_to_handle_at newfstatat open openat openat2 readahead "
    "readlink readlinkat rename renameat renameat2 rmdir stat stat64 statfs statfs64 statx symlink symlinkat sync "
    "sync_file_range syncfs truncate truncate64 umask unlink unlinkat utime utimensat utimensat_time64 utimes";

constexpr const char* kExtendedAttributes =
    "fgetxattr flistxattr fremovexattr fsetxattr getxattr getxattrat lgetxattr listxattr listxattrat llistxattr lremovexattr "
    "lsetxattr removexattr removexattrat setxattr setxattrat";

constexpr const char* kReadingAndWriting =
    "pipe pipe2 pread64 preadv preadv2 pwrite64 pwritev pwritev2 read readv sendfile sendfile64 splice tee vmsplice write "
    "writev";

// Linux's first asynchronous interface. io_uring is left out: it goes around this very filter, and its history says why.
constexpr const char* kAsynchronousIo =
    "io_cancel io_destroy io_getevents io_pgetevents io_pgetevents_time64 io_setup io_submit";

constexpr const char* kWaitingForEvents =
    "epoll_create epoll_create1 epoll_ctl epoll_ctl_old epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd eventfd2 "
    "fanotify_mark inotify_add_watch inotify_init inotify_init1 inotify_rm_watch _newselect poll ppoll ppoll_time64 pselect6 "
    "pselect6_time64 select signalfd signalfd4";

constexpr const char* kMemory =
    "brk cachestat madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mlock mlock2 mlockall mmap mmap2 "
    "mprotect "
    "mremap mseal msync munlock munlockall munmap pkey_alloc pkey_free pkey_mprotect process_mrelease remap_file_pages";

constexpr const char* kProcesses =
    "execve execveat exit exit_group fork vfork wait4 waitid waitpid getpgid getpgrp getpid getppid getsid gettid setpgid "
    "setsid "
    "kill tgkill tkill pidfd_open pidfd_send_signal prctl arch_prctl modify_ldt rseq set_robust_list get_robust_list "
    "set_thread_area get_thread_area set_tid_address uname sysinfo getcpu getrandom times getrusage getpriority setpriority "
    "ioprio_get ioprio_set getrlimit setrlimit ugetrlimit prlimit64 restart_syscall uretprobe riscv_flush_icache "
    // Only what the ptrace access check permits: since Linux 4.8 a tracer can't lead its tracee around the filter.
    "ptrace";

constexpr const char* kScheduling =
    "sched_getaffinity sched_getattr sched_getparam sched_get_priority_max sched_get_priority_min sched_getscheduler "
    "sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity sched_setattr sched_setparam sched_setscheduler "
    "sched_yield";

constexpr const char* kSynchronisation = "futex futex_requeue futex_time64 futex_wait futex_waitv futex_wake";

constexpr const char* kSignals =
    "pause rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend rt_sigtimedwait "
    "rt_sigtimedwait_time64 rt_tgsigqueueinfo sigaltstack sigprocmask sigreturn";

constexpr const char* kTime =
    "adjtimex alarm clock_adjtime clock_adjtime64 clock_getres clock_getres_time64 clock_gettime clock_gettime64 "
    "clock_nanosleep "
    "clock_nanosleep_time64 getitimer gettimeofday nanosleep setitimer time timer_create timer_delete timerfd_create "
    "timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64 timer_getoverrun timer_gettime timer_gettime64 "
    "timer_settime timer_settime64";

constexpr const char* kIdentity =
    "capget capset getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups getgroups32 getresgid getresgid32 getresuid "
    "getresuid32 getuid getuid32 setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 setgroups setgroups32 setregid "
    "setregid32 setresgid setresgid32 setresuid setresuid32 setreuid setreuid32 setuid setuid32";

constexpr const char* kSockets =
    "accept accept4 bind connect getpeername getsockname getsockopt listen recv recvfrom recvmmsg recvmmsg_time64 recvmsg send "
    "sendmmsg sendmsg sendto setsockopt shutdown socketcall socketpair";

constexpr const char* kSystemVAndQueues =
    "ipc mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 mq_unlink "
    "msgctl "
    "msgget msgrcv msgsnd semctl semget semop semtimedop semtimedop_time64 shmat shmctl shmdt shmget";

constexpr const char* kSelfConfinement = "landlock_add_rule landlock_create_ruleset landlock_restrict_self seccomp";

struct CapabilityGroup {
  std::string_view capability;
  const char* names;
};

// What the kernel itself would refuse without the capability: allowed only with it, so that a bug in the check is out of reach.
constexpr CapabilityGroup kWithCapability[] = {
    {"CAP_SYS_ADMIN",
     "bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick listmount lookup_dcookie lsm_get_self_attr "
     "lsm_list_modules lsm_set_self_attr mount mount_setattr move_mount open_tree open_tree_attr perf_event_open quotactl "
     "quotactl_fd setdomainname "
     "sethostname setns statmount syslog umount umount2 unshare"},
    {"CAP_BPF", "bpf"},
    {"CAP_DAC_READ_SEARCH", "open_by_handle_at"},
    {"CAP_PERFMON", "perf_event_open"},
    {"CAP_SYS_BOOT", "reboot"},
    {"CAP_SYS_CHROOT", "chroot"},
    {"CAP_SYS_MODULE", "delete_module finit_module init_module"},
    {"CAP_SYS_NICE", "get_mempolicy mbind set_mempolicy set_mempolicy_home_node"},
    {"CAP_SYS_PACCT", "acct"},
    {"CAP_SYS_PTRACE", "kcmp pidfd_getfd process_madvise process_vm_readv process_vm_writev"},
    {"CAP_SYS_RAWIO", "ioperm iopl"},
    {"CAP_SYS_TIME", "clock_settime clock_settime64 settimeofday stime"},
    {"CAP_SYS_TTY_CONFIG", "vhangup"},
    {"CAP_SYSLOG", "syslog"},
};

std::vector<std::string> words(const char* text) {
  std::istringstream stream(text);
  std::vector<std::string> out;
  for (std::string word; stream >> word;) {
    out.push_back(std::move(word));
  }
  return out;
}

void allow(oci::Seccomp& profile, std::vector<std::string> names, std::vector<oci::SyscallArgument> arguments = {}) {
  profile.syscalls.push_back(
      {.names = std::move(names), .action = "SCMP_ACT_ALLOW", .errno_ret = {}, .args = std::move(arguments)});
}

// SECURITY: a new user namespace gives all capabilities inside it, and with them most of the kernel's attack surface.
void allow_clone_without_namespaces(oci::Seccomp& profile) {
  constexpr uint64_t kNamespaces =
      CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC | CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;
  allow(profile, {"clone"}, {{.index = 0, .value = kNamespaces, .value_two = 0, .op = "SCMP_CMP_MASKED_EQ"}});
  // Its flags lie in memory, where no filter can look. "Not implemented" makes C libraries fall back to clone.
  profile.syscalls.push_back({.names = {"clone3"}, .action = "SCMP_ACT_ERRNO", .errno_ret = ENOSYS, .args = {}});
}

}  // namespace

oci::Seccomp default_seccomp(const std::vector<std::string>& capabilities) {
  oci::Seccomp profile;
  profile.default_action = "SCMP_ACT_ERRNO";
  profile.default_errno_ret = EPERM;
#if defined(__x86_64__)
  profile.architectures = {"SCMP_ARCH_X86_64", "SCMP_ARCH_X86", "SCMP_ARCH_X32"};
#elif defined(__aarch64__)
  profile.architectures = {"SCMP_ARCH_AARCH64", "SCMP_ARCH_ARM"};
#endif
  for (const char* group :
       {kFiles, kExtendedAttributes, kReadingAndWriting, kAsynchronousIo, kWaitingForEvents, kMemory, kProcesses, kScheduling,
        kSynchronisation, kSignals, kTime, kIdentity, kSockets, kSystemVAndQueues, kSelfConfinement}) {
    allow(profile, words(group));
  }
  // AF_VSOCK (40) reaches the hypervisor of the host, past the network namespace.
  allow(profile, {"socket"}, {{.index = 0, .value = 40, .value_two = 0, .op = "SCMP_CMP_NE"}});
  // Linux, old Linux (PER_LINUX32), both with UNAME26, and the question for the present one (personality(2)).
  for (uint64_t persona : {0x0UL, 0x8UL, 0x20000UL, 0x20008UL, 0xffffffffUL}) {
    allow(profile, {"personality"}, {{.index = 0, .value = persona, .value_two = 0, .op = "SCMP_CMP_EQ"}});
  }
  const auto has = [&](std::string_view capability) {
    return std::find(capabilities.begin(), capabilities.end(), capability) != capabilities.end();
  };
  for (const CapabilityGroup& group : kWithCapability) {
    if (has(group.capability)) {
      allow(profile, words(group.names));
    }
  }
  if (!has("CAP_SYS_ADMIN")) {
    allow_clone_without_namespaces(profile);
  }
  return profile;
}

}  // namespace bulkhead::runner
