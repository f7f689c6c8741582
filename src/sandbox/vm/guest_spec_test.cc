#include "sandbox/vm/guest_spec.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "agent/protocol/protocol.h"
#include "support/error.h"

namespace bulkhead::sandbox::vm {
namespace {

using testing::HasSubstr;
using testing::ThrowsMessage;

oci::Spec plain_spec() {
  oci::Spec spec;
  for (const char* type : {"pid", "network", "ipc", "uts", "mount"}) {
    spec.linux_.namespaces.push_back({.type = type, .path = {}});
  }
  return spec;
}

TEST(GuestSpecTest, NetworkNamespaceBecomesTheGuestsOwn) {
  oci::Spec spec = plain_spec();
  spec.linux_.namespaces[1].path = "/run/netns/one";
  GuestSpec guest = make_guest_spec(spec);
  EXPECT_EQ(guest.network_namespace, "/run/netns/one");
  EXPECT_EQ(guest.spec.linux_.namespaces.size(), 5U);
  EXPECT_EQ(guest.spec.linux_.namespaces[1].path, agent::kNetwork);
}

TEST(GuestSpecTest, NoNetworkStaysANamespaceInside) {
  GuestSpec guest = make_guest_spec(plain_spec());
  EXPECT_TRUE(guest.network_namespace.empty());
  EXPECT_EQ(guest.spec.linux_.namespaces.size(), 5U);
}

TEST(GuestSpecTest, RefusesSharedNamespaces) {
  for (size_t i : {0U, 2U, 3U, 4U}) {
    oci::Spec joined = plain_spec();
    joined.linux_.namespaces[i].path = "/proc/1/ns/x";
    EXPECT_THAT([&] { make_guest_spec(joined); }, ThrowsMessage<Error>(HasSubstr("can't join")));
    oci::Spec absent = plain_spec();
    absent.linux_.namespaces.erase(absent.linux_.namespaces.begin() + static_cast<ptrdiff_t>(i));
    EXPECT_THAT([&] { make_guest_spec(absent); }, ThrowsMessage<Error>(HasSubstr("can't share the host's")));
  }
}

TEST(GuestSpecTest, FilesOfTheEngineAreCopiedAndOtherBindsShared) {
  oci::Spec spec = plain_spec();
  spec.mounts = {{.destination = "/etc/hosts", .type = "bind", .source = "/host/hosts", .options = {"rbind"}},
                 {.destination = "/tmp", .type = "tmpfs", .source = "tmpfs", .options = {}},
                 {.destination = "/data", .type = "none", .source = "/host/data", .options = {"bind", "ro"}},
                 {.destination = "/more", .type = "bind", .source = "/host/more", .options = {"rbind"}}};
  GuestSpec guest = make_guest_spec(spec);
  ASSERT_EQ(guest.files.size(), 1U);
  EXPECT_EQ(guest.files[0].source, "/host/hosts");
  EXPECT_EQ(guest.spec.mounts[0].source, "/run/files/hosts");
  ASSERT_EQ(guest.shares.size(), 2U);
  EXPECT_EQ(guest.shares[0].source, "/host/data");
  EXPECT_EQ(guest.shares[0].access, Access::kReadOnly);
  EXPECT_EQ(guest.shares[0].depth, Depth::kOne);
  EXPECT_EQ(guest.shares[1].access, Access::kReadWrite);
  EXPECT_EQ(guest.shares[1].depth, Depth::kWithMountsBelow);
  EXPECT_EQ(guest.spec.mounts[3].source, "/run/shares/1");
}

TEST(GuestSpecTest, ASourceHasTheHostsNameInWhatAGuestSays) {
  oci::Spec spec = plain_spec();
  for (int i = 0; i < 11; ++i) {
    spec.mounts.push_back({.destination = fmt::format("/m{}", i), .type = "bind", .source = fmt::format("/host/{}", i)});
  }
  spec.mounts.push_back({.destination = "/etc/hosts", .type = "bind", .source = "/host/hosts"});
  GuestSpec guest = make_guest_spec(spec);
  EXPECT_EQ(name_sources("mount '/run/shares/10' on '/m10'", guest), "mount '/host/10' on '/m10'");
  EXPECT_EQ(name_sources("mount '/run/shares/1' on '/m1'", guest), "mount '/host/1' on '/m1'");
  EXPECT_EQ(name_sources("mount '/run/files/hosts' on '/etc/hosts'", guest), "mount '/host/hosts' on '/etc/hosts'");
  EXPECT_EQ(name_sources("nothing of it", guest), "nothing of it");
}

TEST(GuestSpecTest, WhatOnlyTheHostKnowsStaysThere) {
  oci::Spec spec = plain_spec();
  spec.root.path = "/var/lib/somewhere";
  spec.linux_.resources.cpuset_cpus = "7";
  spec.linux_.cgroups_path = "/bulkhead/x";
  spec.process.apparmor_profile = "docker-default";
  oci::Spec guest = make_guest_spec(spec).spec;
  EXPECT_EQ(guest.root.path, "rootfs");
  EXPECT_EQ(guest.linux_.resources.cpuset_cpus, "");
  EXPECT_EQ(guest.linux_.cgroups_path, "");
  EXPECT_EQ(guest.process.apparmor_profile, "");
}

TEST(RootDisksTest, OneOfEach) {
  Mount image{.type = "erofs", .source = "/image", .target = {}, .options = {}};
  Mount scratch{.type = "ext4", .source = "/scratch", .target = {}, .options = {}};
  RootDiskPaths paths = root_disks_of({image, scratch});
  EXPECT_EQ(paths.image, "/image");
  EXPECT_EQ(paths.scratch, "/scratch");
  EXPECT_THROW(root_disks_of({image}), Error);
  EXPECT_THROW(root_disks_of({image, image}), Error);
  EXPECT_THROW(root_disks_of({{.type = "overlay", .source = "overlay", .target = {}, .options = {}}}), Error);
}

TEST(MachineMemoryTest, HoldsTheLimitAndTheKernel) {
  EXPECT_EQ(machine_memory(std::nullopt, 256UL << 20), 256UL << 20);
  EXPECT_EQ(machine_memory(-1, 256UL << 20), 256UL << 20);
  EXPECT_EQ(machine_memory(20L << 20, 0), 128UL << 20);
  EXPECT_EQ(machine_memory(512L << 20, 0), 640UL << 20);
  EXPECT_GT(machine_memory(INT64_MAX, 0), 1UL << 40);
  EXPECT_EQ(machine_memory(20L << 20, 0, kernels::kStockKernel), 256UL << 20);
  EXPECT_EQ(machine_memory(std::nullopt, 256UL << 20, kernels::kStockKernel), 384UL << 20);
}

}  // namespace
}  // namespace bulkhead::sandbox::vm
