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

TEST_F(WallComparison, FilesOfTheHost) {
  asked_.mounts = {{.destination = "/data", .type = "bind", .source = "/srv"}};
  asked_.root.readonly = true;
  for (const char* inside : {"/data", "/data/below", "/data2", "/"}) {
    facts::VisiblePath& path = *wall_.add_paths();
    path.set_kind(std::string(inside) == "/" ? facts::PATH_ROOT : facts::PATH_HOST);
    path.set_inside(inside);
    path.set_source("/x");
  }
  EXPECT_THAT(weaker(),
              ElementsAre("'/data2': no file of the host / '/x' of the host", "the root file system: read-only / writable"));
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

}  // namespace
}  // namespace bulkhead::engine
