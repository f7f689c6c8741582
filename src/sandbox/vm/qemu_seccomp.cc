#include "sandbox/vm/qemu_seccomp.h"

#include <errno.h>
#include <sched.h>

#include <array>
#include <utility>

namespace bulkhead::sandbox::vm {
namespace {

constexpr std::array kNeeded = {
    // its program and libraries, and the descriptors that it is given
    "access", "arch_prctl", "brk", "close", "close_range", "dup", "dup2", "dup3", "execve", "faccessat", "faccessat2",
    "fadvise64", "fallocate", "fcntl", "fdatasync", "flock", "fstat", "fstatfs", "fsync", "ftruncate", "getcwd", "getdents64",
    "ioctl", "lseek", "lstat", "newfstatat", "open", "openat", "openat2", "pipe", "pipe2", "pread64", "preadv", "preadv2",
    "pwrite64", "pwritev", "pwritev2", "read", "readlink", "readlinkat", "readv", "stat", "statfs", "statx", "sync_file_range",
    "umask", "write", "writev",
    // the event loop: sockets are there already
    "epoll_create1", "epoll_ctl", "epoll_pwait", "epoll_pwait2", "epoll_wait", "eventfd2", "getpeername", "getsockname",
    "getsockopt", "poll", "ppoll", "pselect6", "recvfrom", "recvmsg", "select", "sendmsg", "sendto", "setsockopt", "shutdown",
    "signalfd4", "timerfd_create", "timerfd_gettime", "timerfd_settime",
    // memory
    "madvise", "membarrier", "memfd_create", "mincore", "mlock", "mmap", "mprotect", "mremap", "msync", "munlock", "munmap",
    // threads, signals
    "exit", "exit_group", "futex", "get_robust_list", "getcpu", "getpgrp", "getpid", "getppid", "gettid", "kill", "prctl",
    "restart_syscall", "rseq", "rt_sigaction", "rt_sigpending", "rt_sigprocmask", "rt_sigreturn", "rt_sigsuspend",
    "rt_sigtimedwait", "sched_getaffinity", "sched_getparam", "sched_get_priority_max", "sched_get_priority_min",
    "sched_getscheduler", "sched_yield", "seccomp", "set_robust_list", "set_tid_address", "sigaltstack", "tgkill",
    // time
    "clock_getres", "clock_gettime", "clock_nanosleep", "getitimer", "gettimeofday", "nanosleep", "setitimer", "time",
    "timer_create", "timer_delete", "timer_getoverrun", "timer_gettime", "timer_settime", "times",
    // who it is
    "getegid", "geteuid", "getgid", "getgroups", "getpriority", "getrandom", "getresgid", "getresuid", "getrlimit", "getrusage",
    "getuid", "prlimit64", "sysinfo", "uname"};

constexpr std::array kForShares = {
    "chdir",        "chmod",     "chown",     "fchdir",     "fchmod",       "fchmodat",  "fchmodat2",
    "fchown",       "fchownat",  "fgetxattr", "flistxattr", "fremovexattr", "fsetxattr", "futimesat",
    "getxattr",     "lchown",    "lgetxattr", "link",       "linkat",       "listxattr", "llistxattr",
    "lremovexattr", "lsetxattr", "mkdir",     "mkdirat",    "mknod",        "mknodat",   "name_to_handle_at",
    "removexattr",  "rename",    "renameat",  "renameat2",  "rmdir",        "setxattr",  "symlink",
    "symlinkat",    "truncate",  "unlink",    "unlinkat",   "utime",        "utimensat", "utimes"};

}  // namespace

oci::Seccomp qemu_seccomp(FileServer server) {
  oci::SyscallRule allowed{.names = {kNeeded.begin(), kNeeded.end()}, .action = "SCMP_ACT_ALLOW", .errno_ret = {}, .args = {}};
  if (server == FileServer::kShares) {
    allowed.names.insert(allowed.names.end(), kForShares.begin(), kForShares.end());
  }
  // Threads, and no processes. What clone3(2) is asked for no filter can read: libraries use clone(2) where it isn't there.
  oci::SyscallRule threads{
      .names = {"clone"},
      .action = "SCMP_ACT_ALLOW",
      .errno_ret = {},
      .args = {{.index = 0, .value = CLONE_THREAD, .value_two = CLONE_THREAD, .op = "SCMP_CMP_MASKED_EQ"}}};
  return {.default_action = "SCMP_ACT_ERRNO",
          .default_errno_ret = ENOSYS,
          .architectures = {"SCMP_ARCH_X86_64"},
          .flags = {},
          .syscalls = {std::move(allowed), std::move(threads)}};
}

}  // namespace bulkhead::sandbox::vm
