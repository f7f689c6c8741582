// Tables of the create options: capabilities, users, mounts, devices, limits, sysctls, security options.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "engine/capabilities.h"
#include "engine/device_requests.h"
#include "engine/mount_requests.h"
#include "engine/security_options.h"
#include "engine/spec_builder.h"
#include "engine/spec_limits.h"
#include "oci/docker_seccomp.h"
#include "oci/user_lookup.h"
#include "support/error.h"

namespace bulkhead::engine {
namespace {

using oci::find_user;
using oci::FoundUser;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;
using testing::SizeIs;

template <typename Function>
std::string error_of(const Function& function) {
  try {
    function();
  } catch (const Error& error) {
    return error.message();
  }
  return "";
}

TEST(Capabilities, AddAndDrop) {
  struct Case {
    std::vector<std::string> add, drop;
    size_t count;
    const char* has;
    const char* lacks;
  };
  for (const auto& [add, drop, count, has, lacks] :
       std::vector<Case>{{{}, {}, 14, "CAP_CHOWN", "CAP_SYS_ADMIN"},
                         {{"sys_admin"}, {}, 15, "CAP_SYS_ADMIN", "CAP_NET_ADMIN"},
                         {{"CAP_SYS_ADMIN", "SYS_ADMIN"}, {}, 15, "CAP_SYS_ADMIN", "CAP_NET_ADMIN"},
                         {{}, {"NET_RAW"}, 13, "CAP_CHOWN", "CAP_NET_RAW"},
                         {{}, {"all"}, 0, nullptr, "CAP_CHOWN"},
                         {{"CHOWN"}, {"ALL"}, 1, "CAP_CHOWN", "CAP_KILL"},
                         {{"ALL"}, {}, available_capabilities().size(), "CAP_BPF", nullptr},
                         {{"ALL"}, {"SYS_MODULE"}, available_capabilities().size() - 1, "CAP_BPF", "CAP_SYS_MODULE"}}) {
    HostConfig host;
    host.cap_add = add;
    host.cap_drop = drop;
    auto granted = granted_capabilities(host);
    EXPECT_THAT(granted, SizeIs(count));
    if (has != nullptr) {
      EXPECT_THAT(granted, Contains(has));
    }
    if (lacks != nullptr) {
      EXPECT_THAT(granted, Not(Contains(lacks)));
    }
  }
  HostConfig host;
  host.cap_add = {"fly"};
  EXPECT_EQ(error_of([&] { granted_capabilities(host); }), "invalid CapAdd: unknown capability: \"CAP_FLY\"");
}

std::optional<std::string> image_files(const std::string& path) {
  if (path == "/etc/passwd") {
    return "# "
           "comment\nroot:x:0:0:root:/root:/bin/sh\nbroken\nana:x:1000:1001:Ana:/home/ana:/bin/sh\n123:x:77:78::/"
           "n:\nbad:x:99999999999:1::/:\n";
  }
  return "root:x:0:\nana:x:1001:\naudio:x:29:ana,bo\nvideo:x:44:ana\n";
}

TEST(Users, AreLookedUpInTheImage) {
  struct Case {
    const char* user;
    uid_t uid;
    gid_t gid;
    std::vector<gid_t> groups;
    const char* home;
  };
  for (const auto& [text, uid, gid, groups, home] : std::vector<Case>{{"", 0, 0, {0}, "/root"},
                                                                      {"root", 0, 0, {0}, "/root"},
                                                                      {"ana", 1000, 1001, {1001, 29, 44}, "/home/ana"},
                                                                      {"1000", 1000, 1001, {1001, 29, 44}, "/home/ana"},
                                                                      {"ana:audio", 1000, 29, {29}, "/home/ana"},
                                                                      {"ana:7", 1000, 7, {7}, "/home/ana"},
                                                                      {"5000", 5000, 0, {0}, "/"},
                                                                      {"5000:6000", 5000, 6000, {6000}, "/"},
                                                                      {":29", 0, 29, {29}, "/root"},
                                                                      {"123", 77, 78, {78}, "/n"}}) {
    FoundUser found = find_user(text, {}, image_files);
    EXPECT_EQ(found.uid, uid) << text;
    EXPECT_EQ(found.gid, gid) << text;
    EXPECT_EQ(found.additional_gids, groups) << text;
    EXPECT_EQ(found.home, home) << text;
  }
  EXPECT_THAT(find_user("ana", {"video", "500", "audio"}, image_files).additional_gids, ElementsAre(1001, 29, 44, 500));
}

TEST(Users, AreRefusedInDockersWords) {
  auto find = [](const char* user) { return error_of([&] { find_user(user, {}, image_files); }); };
  EXPECT_EQ(find("foo"), "unable to find user foo: no matching entries in passwd file");
  EXPECT_EQ(find("ana:foo"), "unable to find group foo: no matching entries in group file");
  EXPECT_EQ(find("99999999999"), "uids and gids must be in range 0-2147483647");
  EXPECT_EQ(find("4294967295"), "uids and gids must be in range 0-2147483647") << "(uid_t)-1 means: leave it";
  EXPECT_EQ(find("-1"), "uids and gids must be in range 0-2147483647");
  EXPECT_THAT(find("bad"), HasSubstr("unable to find user")) << "an entry with an impossible uid is none";
  EXPECT_EQ(error_of([] { find_user("", {"nobody"}, image_files); }), "Unable to find group nobody");
  EXPECT_EQ(find_user("12", {}, [](const std::string&) { return std::nullopt; }).uid, 12U) << "an image without /etc/passwd";
}

TEST(Mounts, BindSyntax) {
  struct Case {
    const char* text;
    const char* source;
    const char* destination;
    bool read_write;
    const char* propagation;
  };
  for (const auto& [text, source, destination, read_write, propagation] :
       std::vector<Case>{{"/a:/b", "/a", "/b", true, "rprivate"},
                         {"/a/../c//d/:/b/./x/", "/c/d", "/b/x", true, "rprivate"},
                         {"/a:/b:ro", "/a", "/b", false, "rprivate"},
                         {"/a:/b:ro,z", "/a", "/b", false, "rprivate"},
                         {"/a:/b:rw,rshared", "/a", "/b", true, "rshared"},
                         {"/a:/b:slave,ro", "/a", "/b", false, "slave"}}) {
    HostConfig host;
    host.binds = {text};
    auto requests = mount_requests(host);
    ASSERT_THAT(requests, SizeIs(1)) << text;
    EXPECT_EQ(requests[0].view.source, source) << text;
    EXPECT_EQ(requests[0].view.destination, destination) << text;
    EXPECT_EQ(requests[0].view.read_write, read_write) << text;
    EXPECT_EQ(requests[0].view.propagation, propagation) << text;
  }
  for (const char* text : {"", ":", "/a", "/a:", ":/b", "/a:b", "/a:/", "/a:/b/..", "/a:/b:xx", "/a:/b:ro,rw", "/a:/b:ro:z",
                           "vol:/b", "/a:/b:shared,slave", "/a:/b:"}) {
    HostConfig host;
    host.binds = {text};
    EXPECT_THROW(mount_requests(host), Error) << text;
  }
}

TEST(Mounts, TheSameTargetTwiceIsRefused) {
  HostConfig host;
  host.binds = {"/a:/x", "/b:/x/"};
  EXPECT_EQ(error_of([&] { mount_requests(host); }), "Duplicate mount point: /x");
  host.binds = {"/a:/x"};
  host.tmpfs = {{"/x", ""}};
  EXPECT_THROW(mount_requests(host), Error);
}

TEST(Mounts, PathsOfAnonymousVolumes) {
  ContainerConfig config;
  HostConfig host;
  config.volumes = {"/data/", "/b"};
  host.binds = {"/a:/b"};
  EXPECT_THAT(volume_paths(config, host), ElementsAre("/data")) << "a mount is in the other's place";
  for (const char* wrong : {"data", "", "/", "/a/..", "/a\nb"}) {
    config.volumes = {wrong};
    EXPECT_THROW(volume_paths(config, host), Error) << wrong;
  }
}

TEST(Mounts, TmpfsOptions) {
  auto options = [](const char* text) {
    HostConfig host;
    host.tmpfs = {{"/t", text}};
    return to_mount(mount_requests(host)[0]).options;
  };
  EXPECT_THAT(options(""), ElementsAre("noexec", "nosuid", "nodev"));
  EXPECT_THAT(options("rw,exec,size=1g,size=2g"), ElementsAre("nosuid", "nodev", "rw", "exec", "size=2g"));
  EXPECT_THROW(options("lowerdir=/"), Error);
  EXPECT_THROW(options("bind"), Error);
  HostConfig host;
  host.mounts = {{.type = "tmpfs", .target = "/m", .read_only = true, .tmpfs_size = 4096, .tmpfs_mode = 01770}};
  EXPECT_THAT(to_mount(mount_requests(host)[0]).options,
              ElementsAre("noexec", "nosuid", "nodev", "ro", "size=4096", "mode=1770"));
}

TEST(Mounts, MissingSources) {
  HostConfig host;
  std::string folder = testing::TempDir() + "bulkhead-missing-source";
  host.mounts = {{.type = "bind", .source = folder, .target = "/x"}};
  EXPECT_EQ(error_of([&] { resolve_mounts(host); }),
            "invalid mount config for type \"bind\": bind source path does not exist: " + folder);
  host.mounts.clear();
  host.binds = {folder + ":/x"};
  EXPECT_THAT(resolve_mounts(host), SizeIs(1));
  EXPECT_TRUE(std::filesystem::is_directory(folder));
  std::filesystem::remove(folder);
}

TEST(Devices, Rules) {
  oci::DeviceRule rule = parse_device_rule("c 10:* rw");
  EXPECT_TRUE(rule.allow);
  EXPECT_EQ(rule.type, 'c');
  EXPECT_EQ(rule.major, 10);
  EXPECT_EQ(rule.minor, std::nullopt);
  EXPECT_EQ(rule.access, "rw");
  EXPECT_EQ(parse_device_rule("a *:* rwm").major, std::nullopt);
  for (const char* text :
       {"", "c", "c 1:3", "x 1:3 r", "c 1:3 rx", "c 1 3 r", "c -1:3 r", "c 1:3 rwmr", "c1:3 r", "c : r", "c 1:3 "}) {
    EXPECT_THROW(parse_device_rule(text), Error) << text;
  }
}

TEST(Devices, AreFoundOnTheHost) {
  HostConfig host;
  host.devices = {{"/dev/zero", "/dev/nought", "r"}};
  DeviceRequests requests = device_requests(host);
  ASSERT_THAT(requests.devices, SizeIs(1));
  EXPECT_EQ(requests.devices[0].path, "/dev/nought");
  EXPECT_EQ(requests.devices[0].major, 1);
  EXPECT_EQ(requests.devices[0].minor, 5);
  EXPECT_EQ(requests.rules.back().access, "r");
  host.devices = {{"/dev/not-there", "", ""}};
  EXPECT_EQ(error_of([&] { device_requests(host); }),
            "error gathering device information while adding custom device \"/dev/not-there\": no such file or directory");
  host.devices = {{"/etc/passwd", "", ""}};
  EXPECT_THAT(error_of([&] { device_requests(host); }), HasSubstr("not a device node"));
}

TEST(Limits, Resources) {
  HostConfig host;
  oci::Resources none = resources_of(host);
  EXPECT_EQ(none.memory_limit, std::nullopt);
  EXPECT_EQ(none.pids_limit, std::nullopt);
  EXPECT_EQ(none.cpu_quota, std::nullopt);
  host.memory = 64 << 20;
  host.memory_swap = -1;
  host.nano_cpus = 1'500'000'000;
  host.pids_limit = 100;
  host.cpuset_cpus = "0-1";
  oci::Resources some = resources_of(host);
  EXPECT_EQ(some.memory_limit, 64 << 20);
  EXPECT_EQ(some.memory_swap, -1);
  EXPECT_EQ(some.cpu_quota, 150'000);
  EXPECT_EQ(some.cpu_period, 100'000U);
  EXPECT_EQ(some.pids_limit, 100);
  EXPECT_EQ(some.cpuset_cpus, "0-1");
  host.pids_limit = -1;
  EXPECT_EQ(resources_of(host).pids_limit, std::nullopt);
}

TEST(Limits, Ulimits) {
  auto limits = rlimits_of({{"nofile", 10, 20}, {"core", -1, -1}, {"nofile", 30, 40}});
  ASSERT_THAT(limits, SizeIs(2));
  EXPECT_EQ(limits[0].type, "RLIMIT_CORE");
  EXPECT_EQ(limits[0].hard, std::numeric_limits<uint64_t>::max());
  EXPECT_EQ(limits[1].soft, 30U);
  EXPECT_EQ(error_of([] {
              rlimits_of({{"nofile", 5, 4}});
            }),
            "ulimit soft limit must be less than or equal to hard limit: 5 > 4");
  EXPECT_EQ(error_of([] { rlimits_of({{"wings", 1, 2}}); }), "invalid ulimit type: wings");
  EXPECT_THROW(rlimits_of({{"nofile", -1, 4}}), Error);
}

TEST(Limits, OnlySysctlsOfTheContainersOwnNamespaces) {
  auto set = [](const char* name, const char* network, const char* ipc, const char* uts) {
    HostConfig host;
    host.sysctls = {{name, "1"}};
    host.network_mode = network;
    host.ipc_mode = ipc;
    host.uts_mode = uts;
    return error_of([&] { sysctls_of(host); });
  };
  for (const char* name :
       {"net.core.somaxconn", "kernel.msgmax", "kernel.shm_rmid_forced", "fs.mqueue.msg_max", "kernel.domainname"}) {
    EXPECT_EQ(set(name, "bridge", "private", ""), "") << name;
  }
  for (const char* name : {"kernel.core_pattern", "vm.swappiness", "kernel.modprobe", "fs.file-max", "net/../kernel.modprobe",
                           "net...kernel.modprobe", "", "kernel.shm_rmid_forced2"}) {
    EXPECT_NE(set(name, "bridge", "private", ""), "") << name;
  }
  EXPECT_NE(set("net.core.somaxconn", "host", "private", ""), "");
  EXPECT_NE(set("kernel.msgmax", "bridge", "host", ""), "");
  EXPECT_NE(set("kernel.domainname", "bridge", "private", "host"), "");
}

TEST(SecurityOptions, AreReadOrRefused) {
  EXPECT_TRUE(parse_security_options({"no-new-privileges:true"}).no_new_privileges);
  EXPECT_FALSE(parse_security_options({"no-new-privileges=false"}).no_new_privileges);
  EXPECT_EQ(parse_security_options({"seccomp:unconfined"}).seccomp, SeccompChoice::kUnconfined);
  EXPECT_EQ(parse_security_options({"seccomp=builtin"}).seccomp, SeccompChoice::kDefault);
  EXPECT_EQ(parse_security_options({"seccomp={\"a\":1}"}).seccomp_profile, "{\"a\":1}");
  EXPECT_EQ(parse_security_options({"apparmor=unconfined", "label=disable"}).apparmor_profile, "");
  for (const char* option : {"", "seccomp", "wings=on", "no-new-privileges=maybe", "label=type:x"}) {
    EXPECT_THROW(parse_security_options({option}), Error) << option;
  }
}

TEST(SecurityOptions, ProfilesInDockersFormat) {
  const char* profile = R"({"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":1,
    "archMap":[{"architecture":"SCMP_ARCH_X86_64","subArchitectures":["SCMP_ARCH_X86"]},{"architecture":"SCMP_ARCH_AARCH64","subArchitectures":null}],
    "syscalls":[
      {"names":["read"],"action":"SCMP_ACT_ALLOW","args":null,"comment":"","includes":{},"excludes":{}},
      {"name":"write","action":"SCMP_ACT_ALLOW"},
      {"names":["mount"],"action":"SCMP_ACT_ALLOW","includes":{"caps":["CAP_SYS_ADMIN"]}},
      {"names":["clone"],"action":"SCMP_ACT_ALLOW","excludes":{"caps":["CAP_SYS_ADMIN"]}},
      {"names":["old"],"action":"SCMP_ACT_ALLOW","includes":{"minKernel":"3.0"}},
      {"names":["future"],"action":"SCMP_ACT_ALLOW","includes":{"minKernel":"99.0"}},
      {"names":["s390"],"action":"SCMP_ACT_ALLOW","includes":{"arches":["s390"]}}]})";
  auto names = [&](const std::vector<std::string>& caps) {
    std::vector<std::string> found;
    for (const auto& rule : oci::parse_seccomp_profile(profile, caps).syscalls) {
      found.push_back(rule.names[0]);
    }
    return found;
  };
  EXPECT_THAT(names({"CAP_CHOWN"}), ElementsAre("read", "write", "clone", "old"));
  EXPECT_THAT(names({"CAP_SYS_ADMIN"}), ElementsAre("read", "write", "mount", "old"));
  EXPECT_THAT(oci::parse_seccomp_profile(profile, {}).architectures, Not(IsEmpty()));
}

TEST(SecurityOptions, BadProfilesAreRefused) {
  for (
      const char* text :
      {"", "[]", "{", "{}", R"({"defaultAction":1})", R"({"defaultAction":"SCMP_ACT_ALLOW","syscalls":[1]})",
       R"({"defaultAction":"SCMP_ACT_ALLOW","syscalls":{}})",
       R"({"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"names":["a"],"action":"SCMP_ACT_ALLOW","includes":["x"]}]})",
       R"({"defaultAction":"SCMP_ACT_ERRNO","syscalls":[{"names":["a"],"action":"SCMP_ACT_ALLOW","includes":{"cap":["x"]}}]})",
       R"({"defaultAction":"SCMP_ACT_ALLOW","architectures":["SCMP_ARCH_X86"],"archMap":[{"architecture":"SCMP_ARCH_X86_64"}]})",
       R"({"defaultAction":"SCMP_ACT_ALLOW","listenerPath":"/run/x"})",
       R"({"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["a"],"action":"SCMP_ACT_ALLOW","includes":{"minKernel":4}}]})"}) {
    EXPECT_THROW(oci::parse_seccomp_profile(text, {}), Error) << text;
  }
}

}  // namespace
}  // namespace bulkhead::engine
