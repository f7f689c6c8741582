#include "engine/spec_builder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>

#include "engine/capabilities.h"
#include "support/error.h"

namespace bulkhead::engine {
namespace {

using testing::Contains;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::IsSupersetOf;
using testing::Not;
using testing::SizeIs;

std::optional<std::string> small_image(const std::string& path) {
  if (path == "/etc/passwd") {
    return "root:x:0:0:root:/root:/bin/sh\nana:x:1000:1001:Ana:/home/ana:/bin/sh\n";
  }
  if (path == "/etc/group") {
    return "root:x:0:\nana:x:1001:\naudio:x:29:ana\n";
  }
  return std::nullopt;
}

class SpecBuilder : public testing::Test {
 protected:
  SpecBuilder() {
    container_.id = std::string(64, 'a');
    container_.path = "sh";
    container_.args = {"-c", "true"};
    container_.config.hostname = "box";
    container_.hosts_path = "/c/hosts";
    container_.hostname_path = "/c/hostname";
    container_.resolv_conf_path = "/c/resolv.conf";
  }
  oci::Spec build() {
    return build_spec({.container = container_,
                       .network_namespace = container_.host_config.network_mode == "host" ? "" : "/run/netns/x",
                       .cgroups_path = "/bulkhead/x",
                       .init_binary = init_,
                       .read_file = small_image});
  }
  static const oci::Mount* mount_on(const oci::Spec& spec, const std::string& destination) {
    auto found =
        std::find_if(spec.mounts.begin(), spec.mounts.end(), [&](const auto& m) { return m.destination == destination; });
    return found == spec.mounts.end() ? nullptr : &*found;
  }
  static std::vector<std::string> namespaces(const oci::Spec& spec) {
    std::vector<std::string> types;
    for (const auto& name_space : spec.linux_.namespaces) {
      types.push_back(name_space.type);
    }
    return types;
  }

  Container container_;
  HostConfig& host_ = container_.host_config;
  std::filesystem::path init_;
};

TEST_F(SpecBuilder, ThePlainContainerIsDockers) {
  oci::Spec spec = build();
  EXPECT_THAT(spec.process.args, ElementsAre("sh", "-c", "true"));
  EXPECT_THAT(spec.process.env,
              ElementsAre("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOSTNAME=box", "HOME=/root"));
  EXPECT_EQ(spec.process.cwd, "/");
  EXPECT_EQ(spec.hostname, "box");
  EXPECT_THAT(spec.process.capabilities->bounding, SizeIs(14));
  EXPECT_EQ(spec.process.capabilities->effective, spec.process.capabilities->bounding);
  EXPECT_THAT(spec.process.capabilities->inheritable, IsEmpty());
  EXPECT_THAT(spec.process.capabilities->ambient, IsEmpty());
  EXPECT_FALSE(spec.process.no_new_privileges);
  EXPECT_TRUE(spec.linux_.seccomp);
  EXPECT_THAT(namespaces(spec), testing::UnorderedElementsAre("mount", "network", "uts", "pid", "ipc", "cgroup"));
  EXPECT_THAT(spec.linux_.masked_paths, IsSupersetOf({"/proc/kcore", "/proc/keys", "/sys/firmware", "/proc/timer_list"}));
  EXPECT_THAT(spec.linux_.readonly_paths, Contains("/proc/sys"));
  EXPECT_THAT(mount_on(spec, "/sys")->options, Contains("ro"));
  EXPECT_THAT(mount_on(spec, "/sys/fs/cgroup")->options, Contains("ro"));
  EXPECT_THAT(mount_on(spec, "/dev/shm")->options, Contains("size=67108864"));
  EXPECT_EQ(mount_on(spec, "/etc/hosts")->source, "/c/hosts");
  EXPECT_THAT(mount_on(spec, "/etc/hosts")->options, Not(Contains("ro")));
  ASSERT_FALSE(spec.linux_.resources.devices.empty());
  EXPECT_FALSE(spec.linux_.resources.devices.front().allow) << "everything is denied first";
  EXPECT_EQ(spec.linux_.resources.devices.front().type, 'a');
  EXPECT_THAT(spec.linux_.devices, IsEmpty());
  EXPECT_EQ(oci::to_json(oci::parse_spec(oci::to_json(spec))), oci::to_json(spec)) << "the shim reads what the engine wrote";
}

TEST_F(SpecBuilder, PathsThatAreMadeAreOursToSay) {
  container_.config.volumes = {"/data"};
  host_.annotations[oci::kMadePaths] = "/evil";
  EXPECT_THAT(oci::made_paths(build()), ElementsAre("/.dockerenv", "/data/"));
}

TEST_F(SpecBuilder, AnotherUserHasNoCapabilitiesButTheBound) {
  container_.config.user = "ana";
  oci::Spec spec = build();
  EXPECT_EQ(spec.process.user.uid, 1000U);
  EXPECT_EQ(spec.process.user.gid, 1001U);
  EXPECT_THAT(spec.process.user.additional_gids, ElementsAre(1001U, 29U));
  EXPECT_THAT(spec.process.capabilities->effective, IsEmpty());
  EXPECT_THAT(spec.process.capabilities->permitted, IsEmpty());
  EXPECT_THAT(spec.process.capabilities->bounding, SizeIs(14));
  EXPECT_THAT(spec.process.env, Contains("HOME=/home/ana"));
}

TEST_F(SpecBuilder, TheEnvironmentIsOverriddenAndTakenAway) {
  container_.config.tty = true;
  container_.config.env = {"PATH=/bin", "A=1", "A=2", "HOSTNAME", "EMPTY=", "HOME=/x"};
  EXPECT_THAT(build().process.env, ElementsAre("PATH=/bin", "TERM=xterm", "A=2", "EMPTY=", "HOME=/x"));
}

TEST_F(SpecBuilder, PrivilegedOpensEverything) {
  host_.privileged = true;
  oci::Spec spec = build();
  EXPECT_THAT(spec.process.capabilities->effective, SizeIs(available_capabilities().size()));
  EXPECT_FALSE(spec.linux_.seccomp);
  EXPECT_THAT(spec.linux_.masked_paths, IsEmpty());
  EXPECT_THAT(spec.linux_.readonly_paths, IsEmpty());
  EXPECT_THAT(mount_on(spec, "/sys")->options, Not(Contains("ro")));
  EXPECT_THAT(mount_on(spec, "/sys/fs/cgroup")->options, Not(Contains("ro")));
  ASSERT_THAT(spec.linux_.resources.devices, SizeIs(1));
  EXPECT_TRUE(spec.linux_.resources.devices[0].allow);
  EXPECT_THAT(spec.linux_.devices, Contains(testing::Field(&oci::Device::path, "/dev/null")));
}

TEST_F(SpecBuilder, HostNamespacesAreLeftOut) {
  host_.network_mode = host_.pid_mode = host_.ipc_mode = host_.uts_mode = host_.cgroupns_mode = "host";
  oci::Spec spec = build();
  EXPECT_THAT(namespaces(spec), ElementsAre("mount"));
  EXPECT_EQ(spec.hostname, "") << "it would change the host's";
  EXPECT_THAT(spec.linux_.sysctl, IsEmpty());
}

TEST_F(SpecBuilder, NetworkNamespaceIsJoinedByPath) {
  for (const auto& name_space : build().linux_.namespaces) {
    EXPECT_EQ(name_space.path, name_space.type == "network" ? "/run/netns/x" : "") << name_space.type;
  }
}

TEST_F(SpecBuilder, ReadOnlyRootMakesTheNameFilesReadOnly) {
  host_.readonly_rootfs = true;
  oci::Spec spec = build();
  EXPECT_TRUE(spec.root.readonly);
  EXPECT_THAT(mount_on(spec, "/etc/resolv.conf")->options, Contains("ro"));
  EXPECT_THAT(mount_on(spec, "/dev/shm")->options, Not(Contains("ro")));
}

TEST_F(SpecBuilder, TheUsersMountsReplaceOursAndComeInOrder) {
  host_.binds = {"/data/x/y:/a/b/c:ro", "/data/x:/a", "/my/hosts:/etc/hosts"};
  host_.tmpfs = {{"/dev/shm", "size=1m,exec"}};
  oci::Spec spec = build();
  EXPECT_EQ(std::count_if(spec.mounts.begin(), spec.mounts.end(), [](const auto& m) { return m.destination == "/dev/shm"; }),
            1);
  EXPECT_THAT(mount_on(spec, "/dev/shm")->options, ElementsAre("nosuid", "nodev", "size=1m", "exec"));
  EXPECT_EQ(mount_on(spec, "/etc/hosts")->source, "/my/hosts");
  EXPECT_LT(mount_on(spec, "/a"), mount_on(spec, "/a/b/c"));
  EXPECT_THAT(mount_on(spec, "/a/b/c")->options, ElementsAre("rbind", "ro", "rprivate"));
}

TEST_F(SpecBuilder, SharedMountsNeedASharedRoot) {
  EXPECT_EQ(build().linux_.rootfs_propagation, "");
  host_.binds = {"/data:/a:rslave"};
  EXPECT_EQ(build().linux_.rootfs_propagation, "rslave");
  host_.binds.emplace_back("/data:/b:rshared");
  EXPECT_EQ(build().linux_.rootfs_propagation, "shared");
}

TEST_F(SpecBuilder, InitIsBoundAndRunsTheCommand) {
  host_.init = true;
  EXPECT_THROW(build(), Error) << "there is none on this host";
  init_ = "/usr/bin/tini-static";
  oci::Spec spec = build();
  EXPECT_THAT(spec.process.args, ElementsAre("/sbin/docker-init", "--", "sh", "-c", "true"));
  EXPECT_EQ(mount_on(spec, "/sbin/docker-init")->source, "/usr/bin/tini-static");
}

TEST_F(SpecBuilder, IpcNoneHasNoSharedMemoryFolder) {
  host_.ipc_mode = "none";
  EXPECT_EQ(mount_on(build(), "/dev/shm"), nullptr);
}

TEST_F(SpecBuilder, SystemPathsCanBeUnconfined) {
  host_.masked_paths.emplace();
  host_.readonly_paths.emplace();
  EXPECT_THAT(build().linux_.masked_paths, IsEmpty());
  EXPECT_THAT(build().linux_.readonly_paths, IsEmpty());
}

TEST_F(SpecBuilder, SeccompIsTheUsersChoice) {
  host_.security_opt = {"seccomp=unconfined", "no-new-privileges"};
  oci::Spec spec = build();
  EXPECT_FALSE(spec.linux_.seccomp);
  EXPECT_TRUE(spec.process.no_new_privileges);
  host_.security_opt = {
      R"(seccomp={"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["mkdir"],"action":"SCMP_ACT_ERRNO"}]})"};
  EXPECT_EQ(build().linux_.seccomp->default_action, "SCMP_ACT_ALLOW");
}

TEST_F(SpecBuilder, AnExecInheritsTheWall) {
  host_.security_opt = {"no-new-privileges"};
  host_.cap_drop = {"ALL"};
  container_.config.env = {"A=1"};
  container_.config.working_dir = "/srv";
  oci::Spec spec = build();
  ExecConfig exec{.tty = true, .cmd = {"id"}, .env = {"A=2"}, .user = "ana"};
  oci::Process process = build_exec_process(spec, container_, exec, small_image);
  EXPECT_THAT(process.args, ElementsAre("id"));
  EXPECT_THAT(process.env, IsSupersetOf({"A=2", "TERM=xterm", "HOME=/home/ana"}));
  EXPECT_EQ(process.user.uid, 1000U);
  EXPECT_EQ(process.cwd, "/srv");
  EXPECT_TRUE(process.no_new_privileges);
  EXPECT_THAT(process.capabilities->bounding, IsEmpty());
  exec.privileged = true;
  exec.user = "root";
  EXPECT_THAT(build_exec_process(spec, container_, exec, small_image).capabilities->effective,
              SizeIs(available_capabilities().size()));
}

TEST_F(SpecBuilder, WrongOptionsAreRefusedAtCreate) {
  EXPECT_NO_THROW(check_options(container_));
  host_.cap_add = {"FLY"};
  EXPECT_THROW(check_options(container_), Error);
}

TEST(Signals, ByNameAndNumber) {
  struct Case {
    const char* text;
    int number;
  };
  for (auto [text, number] : {Case{"SIGTERM", 15},
                              {"term", 15},
                              {"15", 15},
                              {"sigkill", 9},
                              {"SIGRTMIN", 34},
                              {"RTMIN+3", 37},
                              {"SIGRTMAX-14", 50},
                              {"RTMAX", 64},
                              {"64", 64},
                              {"Winch", 28}}) {
    EXPECT_EQ(parse_signal(text), number) << text;
  }
  for (const char* text :
       {"", "0", "65", "-9", "SIG", "SIG9", "TERMINATE", "RTMIN+31", "RTMIN-1", "RTMAX-99", "9 ", "RTMIN+"}) {
    EXPECT_THROW(parse_signal(text), Error) << text;
  }
}

class OverlayFiles : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = testing::TempDir() + "overlay-files.XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
    for (const char* layer : {"upper", "top", "bottom"}) {
      std::filesystem::create_directories(root_ / layer / "etc");
    }
    write("bottom/etc/passwd", "bottom");
    write("bottom/etc/group", "group");
    write("bottom/usr/lib/file", "far");
  }
  void TearDown() override { std::filesystem::remove_all(root_); }
  void write(const std::string& path, const std::string& text) {
    std::filesystem::create_directories((root_ / path).parent_path());
    std::ofstream(root_ / path) << text;
  }
  std::optional<std::string> read(const std::string& path) {
    return overlay_file_reader(root_ / "upper", (root_ / "top").native() + ":" + (root_ / "bottom").native())(path);
  }
  std::filesystem::path root_;
};

TEST_F(OverlayFiles, TheTopmostCounts) {
  EXPECT_EQ(read("/etc/passwd"), "bottom");
  write("top/etc/passwd", "top");
  EXPECT_EQ(read("/etc/passwd"), "top");
  write("upper/etc/passwd", "upper");
  EXPECT_EQ(read("/etc/passwd"), "upper");
  EXPECT_EQ(read("/etc/group"), "group");
  EXPECT_EQ(read("/etc/nothing"), std::nullopt);
  EXPECT_EQ(read("/etc"), std::nullopt);
  EXPECT_EQ(read("/etc/passwd/x"), std::nullopt);
}

TEST_F(OverlayFiles, SymlinksStayInTheRoot) {
  std::filesystem::create_symlink("/usr/lib/file", root_ / "top/etc/absolute");
  std::filesystem::create_symlink("../../../../../../usr/lib/file", root_ / "upper/etc/relative");
  std::filesystem::create_symlink("loop", root_ / "upper/etc/loop");
  std::filesystem::create_symlink("lib", root_ / "bottom/usr/lib64");
  EXPECT_EQ(read("/etc/absolute"), "far");
  EXPECT_EQ(read("/etc/relative"), "far");
  EXPECT_EQ(read("/usr/lib64/file"), "far");
  EXPECT_EQ(read("/etc/loop"), std::nullopt);
  std::filesystem::create_symlink("/etc/hostname", root_ / "upper/etc/escape");
  EXPECT_EQ(read("/etc/escape"), std::nullopt) << "the host's file";
}

TEST_F(OverlayFiles, WhatIsNotAFileIsNotRead) {
  ASSERT_EQ(mkfifo((root_ / "upper/etc/passwd").c_str(), 0600), 0);
  EXPECT_EQ(read("/etc/passwd"), std::nullopt) << "and nobody waits for it";
}

TEST_F(OverlayFiles, WhiteoutsHide) {
  if (mknod((root_ / "upper/etc/passwd").c_str(), S_IFCHR | 0600, 0) != 0) {
    GTEST_SKIP() << "needs the right to make a whiteout";
  }
  EXPECT_EQ(read("/etc/passwd"), std::nullopt);
}

}  // namespace
}  // namespace bulkhead::engine
