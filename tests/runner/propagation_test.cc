// What a bind mount shares with the host's mounts, on a host whose mounts are shared (as systemd makes them).
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sched.h>
#include <sys/mount.h>
#include <unistd.h>

#include <algorithm>

#include "container.h"
#include "support/error.h"
#include "support/files.h"

namespace bulkhead::test {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

namespace {

void mount_or_throw(const char* source, const std::string& target, const char* type, unsigned long flags) {
  if (::mount(source, target.c_str(), type, flags, nullptr) != 0) {
    throw system_error("mount on " + target);
  }
}

/// This thread's "host": a mount namespace of its own where everything is shared, bound to nobody outside.
class SharedHost {
 public:
  SharedHost() : before_(open_file("/proc/self/ns/mnt", O_RDONLY)) {
    if (::unshare(CLONE_NEWNS) != 0) {
      throw system_error("make a mount namespace");
    }
    mount_or_throw(nullptr, "/", nullptr, MS_PRIVATE | MS_REC);
    mount_or_throw(nullptr, "/", nullptr, MS_SHARED | MS_REC);
  }
  ~SharedHost() { EXPECT_EQ(::setns(before_.get(), CLONE_NEWNS), 0); }
  SharedHost(const SharedHost&) = delete;
  SharedHost& operator=(const SharedHost&) = delete;

 private:
  UniqueFd before_;
};

class Propagation : public testing::Test {
 protected:
  Propagation() {
    make_folders(source());
    mount_or_throw("tmpfs", source(), "tmpfs", 0);
    // As --privileged: it may mount.
    container_.spec.linux_.seccomp.reset();
    for (auto* set : {&capabilities().bounding, &capabilities().effective, &capabilities().permitted}) {
      set->emplace_back("CAP_SYS_ADMIN");
    }
  }
  ~Propagation() override {
    container_.wall().destroy();
    while (::umount2(source().c_str(), MNT_DETACH) == 0) {
    }
  }

  oci::Capabilities& capabilities() { return *container_.spec.process.capabilities; }
  std::string source() const { return container_.folder() / "source"; }
  /// Binds the source on /x and keeps the container running.
  void start(const std::string& propagation) {
    container_.spec.mounts.push_back({"/x", "bind", source(), {"rbind", propagation}});
    container_.command({"sleep", "1000"});
    container_.create().start();
  }
  std::string mount_inside() {
    return container_.exec_shell("mkdir -p /x/in && mount -t tmpfs none /x/in && touch /x/in/f").out;
  }
  bool host_sees_it() const { return ::access((source() + "/in/f").c_str(), F_OK) == 0; }
  static long host_mounts() {
    std::string table = slurp("/proc/self/mountinfo");
    return std::count(table.begin(), table.end(), '\n');
  }

  SharedHost host_;
  Container container_;
};

}  // namespace

TEST_F(Propagation, ASharedMountGoesBothWays) {
  start("rshared");
  EXPECT_EQ(mount_inside(), "");
  EXPECT_TRUE(host_sees_it());
  make_folders(source() + "/out");
  mount_or_throw("tmpfs", source() + "/out", "tmpfs", 0);
  EXPECT_THAT(container_.exec_shell("cat /proc/self/mountinfo").out, HasSubstr(" /x/out "));
}

// SECURITY: the old root's unmount must not take the host's mounts with it, and nothing but the one mount may show there.
TEST_F(Propagation, ASharedMountTakesNothingFromTheHostAndLeavesNothing) {
  const long before = host_mounts();
  container_.spec.linux_.rootfs_propagation = "rshared";
  start("rshared");
  EXPECT_EQ(host_mounts(), before);
  EXPECT_EQ(::access("/proc/self/exe", F_OK), 0);
  EXPECT_EQ(container_.exec_shell("mkdir /new && mount -t tmpfs none /new && umount /proc/sys").out, "");
  EXPECT_EQ(host_mounts(), before);
  EXPECT_EQ(mount_inside(), "");
  EXPECT_EQ(host_mounts(), before + 1);
}

TEST_F(Propagation, ASlaveOnlyHears) {
  container_.spec.linux_.rootfs_propagation = "rslave";
  start("rslave");
  make_folders(source() + "/out");
  mount_or_throw("tmpfs", source() + "/out", "tmpfs", 0);
  EXPECT_THAT(container_.exec_shell("cat /proc/self/mountinfo").out, HasSubstr(" /x/out "));
  EXPECT_EQ(mount_inside(), "");
  EXPECT_FALSE(host_sees_it());
}

TEST_F(Propagation, APrivateMountIsBoundToNothingNorAreThoseBelow) {
  make_folders(source() + "/below");
  mount_or_throw("tmpfs", source() + "/below", "tmpfs", 0);
  start("private");
  EXPECT_THAT(container_.exec_shell("grep ' /x' /proc/self/mountinfo").out, Not(HasSubstr("shared:")));
  const long before = host_mounts();
  EXPECT_EQ(container_.exec_shell("mkdir /x/below/in && mount -t tmpfs none /x/below/in").out, "");
  EXPECT_EQ(mount_inside(), "");
  EXPECT_EQ(host_mounts(), before);
}

TEST(PropagationOfThePrivate, IsRefused) {
  for (const char* option : {"rshared", "shared", "slave", "rslave"}) {
    SharedHost host;
    Container container;
    const std::string source = container.folder() / "source";
    make_folders(source + "/in");
    mount_or_throw("tmpfs", source, "tmpfs", 0);
    mount_or_throw(nullptr, source, nullptr, MS_PRIVATE);
    make_folders(source + "/in");
    container.spec.mounts.push_back({"/x", "bind", source + "/in", {"rbind", option}});
    std::string message;
    try {
      container.create();
    } catch (const Error& error) {
      message = error.message();
    }
    EXPECT_THAT(message, HasSubstr("/in is mounted on " + source + " but it is not a shared")) << option;
    ::umount2(source.c_str(), MNT_DETACH);
    EXPECT_THAT(container.leftovers(), IsEmpty());
  }
}

}  // namespace bulkhead::test
