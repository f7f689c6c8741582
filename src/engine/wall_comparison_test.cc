#include "engine/wall_comparison.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "facts/capability_names.h"
#include "facts/facts.pb.h"

namespace bulkhead::engine {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

const facts::Namespace& add_namespace(facts::Process& process, const char* kind, uint64_t inode, bool outer = false) {
  facts::Namespace& added = *process.add_namespaces();
  added.set_kind(kind);
  added.set_inode(inode);
  added.set_outer(outer);
  return added;
}

class WallComparison : public ::testing::Test {
 protected:
  WallComparison() {
    asked_.process.capabilities = oci::Capabilities{.bounding = {"CAP_CHOWN", "CAP_KILL"}};
    asked_.linux_.namespaces = {{.type = "pid"}, {.type = "network"}, {.type = "mount"}};
    host_.set_boot_id("host");
    wall_.mutable_kernel()->set_boot_id("host");
    facts::Process& init = *wall_.add_processes();
    init.set_pid(7);
    init.set_command("sh -c x");
    init.set_role(facts::ROLE_INIT);
    init.set_bounding(facts::capability_bits({"CAP_CHOWN"}));
    add_namespace(init, "pid", 1);
    add_namespace(init, "network", 2);
    add_namespace(init, "uts", 3, true);  // not asked for
  }

  std::vector<std::string> weaker() const {
    std::vector<std::string> found;
    for (const Difference& each :
         compare_wall({.asked = asked_, .own_kernel = own_, .wall = wall_, .host = host_, .others = others_})) {
      if (each.weaker) {
        found.push_back(each.what + ": " + each.asked + " / " + each.in_force);
      }
    }
    return found;
  }

  facts::Process& init() { return *wall_.mutable_processes(0); }
  void limit(facts::Wall& wall, const char* name, int64_t number) {
    facts::Limit& added = *wall.add_limits();
    added.set_name(name);
    added.set_number(number);
    added.set_file("f");
  }

  static facts::VisiblePath& add_path(facts::Wall& wall, const char* inside, facts::PathKind kind) {
    facts::VisiblePath& path = *wall.add_paths();
    path.set_kind(kind);
    path.set_inside(inside);
    path.set_source("/x");
    return path;
  }
  facts::VisiblePath& add_path(const char* inside, facts::PathKind kind) { return add_path(wall_, inside, kind); }

  oci::Spec asked_;
  facts::Wall wall_;
  facts::Kernel host_;
  std::map<uint64_t, std::string> others_;
  bool own_ = false;
};

TEST_F(WallComparison, WhatIsAsAskedOrMoreIsNoDifference) {
  asked_.process.no_new_privileges = true;
  init().set_no_new_privileges(true);
  asked_.linux_.resources.memory_limit = 5000;
  limit(wall_, "memory", 4096);  // whole pages
  limit(wall_, "pids", 3);       // nobody asked
  EXPECT_THAT(weaker(), IsEmpty());
}

TEST_F(WallComparison, MoreCapabilitiesInAnySet) {
  init().set_permitted(facts::capability_bits({"CAP_SYS_ADMIN"}));
  EXPECT_THAT(weaker(), ElementsAre("capabilities of process 7 (sh): CAP_CHOWN, CAP_KILL / also CAP_SYS_ADMIN"));
}

TEST_F(WallComparison, NoCapabilitiesAreAskedForWhereNoneAreNamed) {
  asked_.process.capabilities.reset();
  EXPECT_THAT(weaker(), ElementsAre("capabilities of process 7 (sh): none / also CAP_CHOWN"));
}

TEST_F(WallComparison, NamespacesOfOthers) {
  facts::Process& second = *wall_.add_processes();
  second.set_pid(8);
  second.set_command("x");
  add_namespace(second, "pid", 100, true);
  add_namespace(second, "network", 200);
  add_namespace(second, "mount", 300);
  others_[200] = "victim";
  EXPECT_THAT(
      weaker(),
      ElementsAre(
          "pid namespace of process 8 (x): the container's own / that of its kernel's own system, outside of the container",
          "network namespace of process 8 (x): the container's own / shared with container victim"));
}

TEST_F(WallComparison, NoFilterWhereOneWasAskedFor) {
  asked_.linux_.seccomp =
      oci::Seccomp{.default_action = "SCMP_ACT_ERRNO", .syscalls = {{.names = {"read", "write"}, .action = "SCMP_ACT_ALLOW"}}};
  std::vector<std::string> found = weaker();
  ASSERT_EQ(found.size(), 1U);
  EXPECT_THAT(found[0], ::testing::MatchesRegex("system calls of process 7 .sh.: 2 of .* / no filter: all of them"));
  init().set_seccomp_mode(2);
  EXPECT_THAT(weaker(), IsEmpty());  // not read: a gap tells that
  init().set_filter_chain(1);
  facts::Reach& reach = *wall_.add_chains()->add_reach();
  reach.set_abi("x86_64");
  reach.set_open(1);
  reach.set_calls(std::string("\x01", 1));  // read(2)
  EXPECT_THAT(weaker(), IsEmpty());
  reach.set_calls(std::string("\x04", 1));  // open(2)
  EXPECT_EQ(weaker().size(), 1U);
}

TEST_F(WallComparison, Limits) {
  asked_.linux_.resources.memory_limit = 4096;
  asked_.linux_.resources.pids_limit = 10;
  limit(wall_, "memory", 8192);
  limit(wall_, "pids", -1);
  EXPECT_THAT(weaker(), ElementsAre("memory limit: 4096 / 8192 (f)", "pids limit: 10 / unlimited (f)"));
}

TEST_F(WallComparison, EveryLimitThatWasAskedFor) {
  oci::Resources& resources = asked_.linux_.resources;
  resources.cpu_shares = 512;
  resources.cpu_quota = 50'000;
  resources.memory_reservation = 4096;
  resources.blkio_weight = 100;
  limit(wall_, "cpu-shares", 2048);
  limit(wall_, "cpu-quota", 50'000);
  limit(wall_, "cpu-period", 1000);
  limit(wall_, "memory-reservation", -1);
  limit(wall_, "io-weight", 200);
  EXPECT_THAT(weaker(), ElementsAre("memory-reservation limit: 4096 / unlimited (f)", "cpu-period: 100000 / 1000 (f)",
                                    "cpu-shares limit: 512 / 2048 (f)", "io-weight limit: 100 / 200 (f)"));
}

TEST_F(WallComparison, SharesAreAWeightOnV2) {
  asked_.linux_.resources.cpu_shares = 1024;
  limit(wall_, "cpu-weight", 39);
  EXPECT_THAT(weaker(), IsEmpty());
  wall_.mutable_limits(0)->set_number(100);
  EXPECT_EQ(weaker().size(), 1U);
}

TEST_F(WallComparison, ListsOfProcessorsAreSets) {
  asked_.linux_.resources.cpuset_cpus = "0,1,2";
  facts::Limit& cpus = *wall_.add_limits();
  cpus.set_name("cpus");
  for (const char* text : {"0-2", "0", "1-2"}) {
    cpus.set_text(text);
    EXPECT_THAT(weaker(), IsEmpty()) << text;
  }
  for (const char* text : {"0-3", "7", "x", "1-", "2-1"}) {
    cpus.set_text(text);
    EXPECT_THAT(weaker(), ElementsAre(std::string("processors: 0,1,2 / ") + text));
  }
}

TEST_F(WallComparison, ResourceLimitsOfProcesses) {
  asked_.process.rlimits = {{.type = "RLIMIT_NOFILE", .soft = 10, .hard = 20}};
  facts::ResourceLimit& real = *init().add_resource_limits();
  real.set_name("RLIMIT_NOFILE");
  real.set_hard(20);
  EXPECT_THAT(weaker(), IsEmpty());
  real.set_hard(UINT64_MAX);
  EXPECT_THAT(weaker(), ElementsAre("RLIMIT_NOFILE of process 7 (sh): 20 / unlimited"));
}

TEST_F(WallComparison, FilesOfTheHost) {
  asked_.mounts = {{.destination = "/data", .type = "bind", .source = "/srv"}};
  asked_.root.readonly = true;
  for (const char* inside : {"/data", "/data/below", "/data2", "/"}) {
    add_path(inside, std::string(inside) == "/" ? facts::PATH_ROOT : facts::PATH_HOST);
  }
  EXPECT_THAT(weaker(), ElementsAre("'/data2': no file of the host / '/x' of the host, writable",
                                    "the root file system: read-only / writable"));
}

TEST_F(WallComparison, AnotherFileOfTheHostWhereOneWasAskedFor) {
  asked_.mounts = {{.destination = "/data", .type = "bind", .source = "/srv"}};
  asked_.linux_.masked_paths = {"/sys/firmware"};
  add_path("/data", facts::PATH_HOST).set_standing(facts::STANDING_ADDED);
  add_path("/sys/firmware", facts::PATH_HOST).set_standing(facts::STANDING_ADDED);
  EXPECT_THAT(weaker(), ElementsAre("'/data': no file of the host / '/x' of the host, writable",
                                    "'/sys/firmware': no file of the host / '/x' of the host, writable"));
}

TEST_F(WallComparison, LinksOfTheImageLeadToWhatWasAskedFor) {
  asked_.mounts = {{.destination = "/var/run/s", .type = "bind", .source = "/srv", .options = {"ro"}}};
  facts::VisiblePath& path = add_path("/run/s", facts::PATH_HOST);
  path.set_standing(facts::STANDING_GIVEN);
  path.set_destination("/var/run/s");
  EXPECT_THAT(weaker(), ElementsAre("'/run/s': read-only / writable"));
  path.set_read_only(true);
  EXPECT_THAT(weaker(), IsEmpty());
}

TEST_F(WallComparison, WhatWasReadOnlyOrHidden) {
  asked_.linux_.masked_paths = {"/proc/keys", "/sys/firmware"};
  asked_.linux_.readonly_paths = {"/proc/sys"};
  facts::VisiblePath& sys = add_path("/sys", facts::PATH_KERNEL);
  sys.set_standing(facts::STANDING_GIVEN);
  sys.set_read_only_at_start(true);
  add_path("/proc/sys", facts::PATH_KERNEL).set_standing(facts::STANDING_GIVEN);
  add_path("/proc/keys", facts::PATH_MASK).set_standing(facts::STANDING_GONE);
  add_path("/sys/firmware", facts::PATH_MEMORY).set_standing(facts::STANDING_GONE);
  add_path("/sys/fs/cgroup", facts::PATH_MEMORY).set_standing(facts::STANDING_GONE);
  add_path("/data", facts::PATH_HOST).set_standing(facts::STANDING_GONE);
  EXPECT_THAT(weaker(),
              ElementsAre("'/sys': read-only / writable", "'/proc/sys': read-only / writable", "'/proc/keys': hidden / shown",
                          "'/sys/firmware': hidden / shown", "'/data': read-only / writable"));
}

TEST_F(WallComparison, ASecondProcHasNoMasks) {
  facts::VisiblePath& path = add_path("/tmp/p", facts::PATH_KERNEL);
  path.set_standing(facts::STANDING_ADDED);
  path.set_type("proc");
  EXPECT_THAT(weaker(), IsEmpty()) << "nor had the first";
  asked_.linux_.masked_paths = {"/proc/keys"};
  EXPECT_THAT(weaker(), ElementsAre("'/tmp/p': nothing of the kernel's / another proc, writable"));
  path.set_type("devpts");
  EXPECT_THAT(weaker(), IsEmpty());
}

TEST_F(WallComparison, DeviceNodes) {
  asked_.linux_.resources.devices = {{.allow = false, .access = "rwm"},
                                     {.allow = true, .type = 'c', .major = 1, .minor = 3, .access = "rwm"},
                                     {.allow = true, .type = 'b', .access = "m"}};
  asked_.linux_.devices = {{.path = "/dev/only-made", .type = 'b', .major = 7, .minor = 1}};
  asked_.mounts = {{.destination = "/dev/snd", .type = "bind", .source = "/dev/snd"}};
  const auto add = [&](const char* path, const char* kind, uint32_t major, uint32_t minor, const char* access) {
    facts::Device& node = *wall_.add_devices();
    node.set_path(path);
    node.set_kind(kind);
    node.set_major(major);
    node.set_minor(minor);
    node.set_access(access);
  };
  add("/dev/null", "c", 1, 3, "rwm");
  add("/dev/only-made", "b", 7, 1, "m");
  add("/dev/snd/timer", "c", 116, 33, "m");
  EXPECT_THAT(weaker(), IsEmpty());
  add("/dev/evil", "b", 254, 0, "m");
  add("/dev/mem", "c", 1, 1, "rw");
  EXPECT_THAT(weaker(),
              ElementsAre("'/dev/evil': no such device / b 254:0, closed by the cgroup", "'/dev/mem': no such device / c 1:1"));
}

TEST_F(WallComparison, Devices) {
  asked_.linux_.resources.devices = {{.allow = false, .access = "rwm"},
                                     {.allow = true, .type = 'c', .major = 1, .access = "rw"},
                                     {.allow = true, .type = 'b', .access = "m"}};
  for (const char* rule : {"c 1:3 rw", "b *:* m", "c 1:3 rwm", "a *:* rwm", "", "c", "c :"}) {
    wall_.add_device_rules(rule);
  }
  EXPECT_THAT(weaker(), ElementsAre("devices: not c 1:3 rwm / c 1:3 rwm", "devices: not a *:* rwm / a *:* rwm"));
}

TEST_F(WallComparison, KernelsAreKnownByTheirBoot) {
  wall_.mutable_kernel()->set_boot_id("another");
  EXPECT_THAT(weaker(), ElementsAre("kernel: the host's / another one, by its boot id"));
}

TEST_F(WallComparison, AMachineStandsInItsJail) {
  own_ = true;
  facts::Wall inside = wall_;
  *wall_.mutable_inside() = inside;
  wall_.mutable_inside()->mutable_kernel()->set_boot_id("guest");
  facts::Process& qemu = init();
  qemu.set_bounding(0);
  qemu.set_user(1000);
  qemu.set_no_new_privileges(true);
  qemu.set_seccomp_mode(2);
  qemu.clear_namespaces();
  add_namespace(qemu, "user", 9, true);
  limit(wall_, "memory", 1 << 30);
  wall_.set_resources(oci::to_json(oci::Resources{.memory_limit = 1 << 30, .pids_limit = 128}));
  EXPECT_THAT(weaker(), IsEmpty());
  qemu.set_user(0);
  qemu.set_effective(1);
  qemu.set_seccomp_mode(0);
  qemu.set_no_new_privileges(false);
  add_namespace(qemu, "network", 10, true);
  limit(wall_, "pids", -1);
  wall_.mutable_inside()->mutable_kernel()->set_boot_id("host");
  EXPECT_EQ(weaker().size(), 7U);
}

TEST_F(WallComparison, TheJailIsAsItWasMade) {
  own_ = true;
  wall_.Clear();
  oci::Resources given;
  given.memory_limit = 4096;
  given.cpuset_cpus = "0";
  given.devices = {{.allow = false, .access = "rwm"}};
  wall_.set_resources(oci::to_json(given));
  limit(wall_, "memory", 8192);
  facts::Limit& cpus = *wall_.add_limits();
  cpus.set_name("cpus");
  cpus.set_text("0-1");
  wall_.add_device_rules("a *:* rwm");
  add_path("/shares/0", facts::PATH_HOST).set_standing(facts::STANDING_GIVEN);
  add_path("/shares/0", facts::PATH_HOST).set_standing(facts::STANDING_ADDED);
  facts::VisiblePath& program = add_path("/usr/lib64", facts::PATH_HOST);
  program.set_standing(facts::STANDING_GIVEN);
  program.set_read_only_at_start(true);
  EXPECT_THAT(weaker(), ElementsAre("QEMU's memory limit: 4096 / 8192 (f)", "QEMU's processors: 0 / 0-1",
                                    "QEMU's devices: not a *:* rwm / a *:* rwm",
                                    "QEMU's jail: '/shares/0': nothing but what it was given / '/x' of the host, writable",
                                    "QEMU's jail: '/usr/lib64': read-only / writable"));
}

}  // namespace
}  // namespace bulkhead::engine
