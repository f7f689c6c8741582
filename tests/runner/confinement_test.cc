// What a container with Docker's defaults is, as it sees itself.
#include <gmock/gmock.h>

#include <fstream>

#include "container.h"

namespace bulkhead::test {

using testing::ContainsRegex;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

TEST(Confinement, EachNamespaceIsItsOwn) {
  Container container;
  Result result = container.run_shell("for n in mnt net uts pid ipc cgroup; do readlink /proc/self/ns/$n; done");
  for (const char* name : {"mnt", "net", "uts", "pid", "ipc", "cgroup"}) {
    std::string own = std::filesystem::read_symlink(std::filesystem::path("/proc/self/ns") / name);
    EXPECT_THAT(result.out, HasSubstr(std::string(name) + ":["));
    EXPECT_THAT(result.out, Not(HasSubstr(own)));
  }
  EXPECT_THAT(container.leftovers(), IsEmpty());
}

TEST(Confinement, TheInitIsTheFirstProcess) { EXPECT_EQ(Container().run_shell("echo $$; exec hostname").out, "1\ninside\n"); }

TEST(Confinement, CapabilitiesAndSeccompAreInForce) {
  Result result = Container().run_shell("cat /proc/self/status");
  EXPECT_THAT(result.out, HasSubstr("CapPrm:\t00000000a80424fb"));
  EXPECT_THAT(result.out, HasSubstr("CapEff:\t00000000a80424fb"));
  EXPECT_THAT(result.out, HasSubstr("CapBnd:\t00000000a80424fb"));
  EXPECT_THAT(result.out, HasSubstr("CapInh:\t0000000000000000"));
  EXPECT_THAT(result.out, HasSubstr("CapAmb:\t0000000000000000"));
  EXPECT_THAT(result.out, HasSubstr("Seccomp:\t2"));
  EXPECT_THAT(result.out, HasSubstr("NoNewPrivs:\t0"));
}

TEST(Confinement, AnotherUserHasNoCapabilities) {
  Container container;
  container.spec.process.user = {.uid = 1000, .gid = 1001, .umask = 0027, .additional_gids = {7, 8}};
  container.spec.process.no_new_privileges = true;
  Result result = container.run_shell("id -u; id -g; id -G; umask; cat /proc/self/status; echo again >/dev/stdout");
  EXPECT_THAT(result.out, HasSubstr("1000\n1001\n1001 7 8\n0027\n"));
  EXPECT_THAT(result.out, HasSubstr("CapEff:\t0000000000000000"));
  EXPECT_THAT(result.out, HasSubstr("CapPrm:\t0000000000000000"));
  EXPECT_THAT(result.out, HasSubstr("NoNewPrivs:\t1"));
  EXPECT_THAT(result.out, HasSubstr("again"));
}

TEST(Confinement, AmbientCapabilitiesReachAnotherUser) {
  Container container;
  container.spec.process.user = {.uid = 1000, .gid = 1000};
  container.spec.process.capabilities = oci::Capabilities{.bounding = {"CAP_NET_RAW"},
                                                          .effective = {"CAP_NET_RAW"},
                                                          .inheritable = {"CAP_NET_RAW"},
                                                          .permitted = {"CAP_NET_RAW"},
                                                          .ambient = {"CAP_NET_RAW"}};
  EXPECT_THAT(container.run_shell("cat /proc/self/status").out, HasSubstr("CapEff:\t0000000000002000"));
}

TEST(Confinement, NoCapabilitiesWhereNoneAreNamed) {
  Container container;
  container.spec.process.capabilities.reset();
  EXPECT_THAT(container.run_shell("cat /proc/self/status").out, HasSubstr("CapBnd:\t0000000000000000"));
}

TEST(Confinement, SeccompRefusesWhatDockerRefuses) {
  Result result = Container().run_shell("unshare -r true; mount -t tmpfs x /tmp; echo end");
  EXPECT_THAT(result.out, HasSubstr("unshare(0x10000000): Operation not permitted"));
  EXPECT_THAT(result.out, HasSubstr("end"));
}

TEST(Confinement, MaskedPathsAreEmptyAndCannotBeWritten) {
  Container container;
  Result result = container.run_shell(
      "head -c 1 /proc/kcore | wc -c; head -c1 /proc/keys; ls -A /proc/acpi /sys/firmware;"
      "touch /proc/acpi/x; chmod 0 /proc/keys; echo 1 >/proc/sys/kernel/core_pattern; echo end");
  EXPECT_THAT(result.out, HasSubstr("/proc/sys/kernel/core_pattern: Read-only file system"));
  EXPECT_THAT(result.out, HasSubstr("chmod: /proc/keys: Read-only file system"));
  EXPECT_THAT(result.out, HasSubstr("end"));
}

TEST(Confinement, NoDescriptorLeaks) {
  std::ifstream open_in_parent("/etc/passwd");
  Result result = Container().run_shell("ls /proc/self/fd | tr '\\n' ' '; ls -l /proc/1/fd");
  EXPECT_THAT(result.out, ContainsRegex("^0 1 2 3 ?\n?total|^0 1 2 3 total|^ls"));
  EXPECT_THAT(result.out, Not(HasSubstr("passwd")));
  EXPECT_THAT(result.out, Not(HasSubstr("socket")));
  EXPECT_THAT(result.out, Not(HasSubstr("cgroup")));
}

TEST(Confinement, LimitsHold) {
  Container container;
  container.spec.process.rlimits = {{"RLIMIT_NOFILE", 100, 200}, {"RLIMIT_CORE", 0, 0}};
  EXPECT_EQ(container.run_shell("ulimit -Sn; ulimit -Hn; ulimit -c").out, "100\n200\n0\n");
}

TEST(Confinement, ALimitThatTheHostRefusesBecomesTheHighestItGives) {
  Container container;
  container.spec.process.rlimits = {{"RLIMIT_NOFILE", 1UL << 40, 1UL << 40}};
  EXPECT_EQ(container.run_shell("true").code, 0);
}

TEST(Confinement, SysctlsOfItsNamespaces) {
  Container container;
  container.spec.linux_.sysctl = {{"net.ipv4.ip_unprivileged_port_start", "7"}, {"kernel.shmmax", "12345"}};
  EXPECT_EQ(container.run_shell("cat /proc/sys/net/ipv4/ip_unprivileged_port_start /proc/sys/kernel/shmmax").out, "7\n12345\n");
}

TEST(Confinement, DevicesAreTheDefaultOnesAndNoOthers) {
  Container container;
  container.spec.linux_.devices = {
      {.path = "/dev/extra/mem", .type = 'c', .major = 1, .minor = 1, .file_mode = 0600, .uid = 3, .gid = 4}};
  Result result = container.run_shell(
      "stat -c '%n %F %t:%T %a' /dev/null /dev/zero /dev/full /dev/random /dev/urandom /dev/tty; stat -c '%t:%T %a %u %g' "
      "/dev/extra/mem;"
      "readlink /dev/ptmx; head -c1 /dev/extra/mem; echo x >/dev/null && echo written");
  EXPECT_THAT(result.out, HasSubstr("/dev/null character special file 1:3 666\n"));
  EXPECT_THAT(result.out, HasSubstr("/dev/tty character special file 5:0 666\n"));
  EXPECT_THAT(result.out, HasSubstr("1:1 600 3 4\n"));
  EXPECT_THAT(result.out, HasSubstr("pts/ptmx\n"));
  EXPECT_THAT(result.out, HasSubstr("/dev/extra/mem: Operation not permitted"));  // the devices cgroup
  EXPECT_THAT(result.out, HasSubstr("written"));
}

TEST(Confinement, ReadOnlyRoot) {
  Container container;
  container.spec.root.readonly = true;
  Result result = container.run_shell("touch /file; touch /dev/shm/file && echo shm");
  EXPECT_THAT(result.out, HasSubstr("/file: Read-only file system"));
  EXPECT_THAT(result.out, HasSubstr("shm\n"));
}

TEST(Confinement, UserNamespaceMapsRoot) {
  Container container;
  container.spec.linux_.namespaces.push_back({"user", ""});
  container.spec.linux_.uid_mappings = container.spec.linux_.gid_mappings = {{0, 100000, 65536}};
  std::filesystem::permissions(container.folder(), std::filesystem::perms(0755));
  Result result =
      container.run_shell("id -u; cat /proc/self/uid_map; stat -c '%t:%T' /dev/null; cat /proc/self/status | grep CapEff");
  EXPECT_THAT(result.out, ContainsRegex("0\n +0 +100000 +65536\n1:3\n"));
  EXPECT_THAT(container.leftovers(), IsEmpty());
}

}  // namespace bulkhead::test
