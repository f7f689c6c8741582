#include "runner/default_seccomp.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace bulkhead::runner {

namespace {

bool allows(const oci::Seccomp& profile, const std::string& name) {
  return std::any_of(profile.syscalls.begin(), profile.syscalls.end(), [&](const oci::SyscallRule& rule) {
    return rule.action == "SCMP_ACT_ALLOW" && rule.args.empty() &&
           std::find(rule.names.begin(), rule.names.end(), name) != rule.names.end();
  });
}

}  // namespace

TEST(DefaultSeccomp, DeniesWhatIsNotNamed) {
  oci::Seccomp profile = default_seccomp({});
  EXPECT_EQ(profile.default_action, "SCMP_ACT_ERRNO");
  for (const char* name : {"mount",
                           "unshare",
                           "setns",
                           "clone",
                           "clone3",
                           "bpf",
                           "keyctl",
                           "add_key",
                           "request_key",
                           "io_uring_setup",
                           "kexec_load",
                           "init_module",
                           "open_by_handle_at",
                           "perf_event_open",
                           "userfaultfd",
                           "reboot",
                           "swapon",
                           "ptrace_x",
                           "chroot",
                           "socket",
                           "personality",
                           "settimeofday",
                           "nfsservctl",
                           "pivot_root",
                           "move_mount"}) {
    EXPECT_FALSE(allows(profile, name)) << name;
  }
  for (const char* name : {"read", "write", "execve", "openat", "mmap", "futex", "connect"}) {
    EXPECT_TRUE(allows(profile, name)) << name;
  }
}

TEST(DefaultSeccomp, CapabilitiesBringTheirCalls) {
  EXPECT_TRUE(allows(default_seccomp({"CAP_SYS_ADMIN"}), "mount"));
  EXPECT_TRUE(allows(default_seccomp({"CAP_SYS_ADMIN"}), "clone3"));
  EXPECT_TRUE(allows(default_seccomp({"CAP_SYS_CHROOT"}), "chroot"));
  EXPECT_TRUE(allows(default_seccomp({"CAP_SYS_MODULE"}), "finit_module"));
  EXPECT_FALSE(allows(default_seccomp({"CAP_SYS_ADMIN"}), "io_uring_setup"));
  EXPECT_FALSE(allows(default_seccomp({"CAP_SYS_ADMIN"}), "pivot_root"));
}

}  // namespace bulkhead::runner
