#include "host/kvm_probe.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>

namespace bulkhead::host {
namespace {

using std::chrono::milliseconds;

// Whatever the answer is here, it comes, and it comes as the device is: the probe neither hangs nor takes anything down.
TEST(KvmProbeTest, AnswersOnEveryMachine) {
  KvmProbe probe = probe_kvm();
  EXPECT_FALSE(probe.reason.empty());
  if (::access("/dev/kvm", F_OK) != 0) {
    EXPECT_EQ(probe.answer, KvmAnswer::kAbsent);
  } else if (::access("/dev/kvm", R_OK | W_OK) == 0) {
    EXPECT_NE(probe.answer, KvmAnswer::kAbsent) << probe.reason;
    EXPECT_NE(probe.answer, KvmAnswer::kDenied) << probe.reason;
  }
  std::printf("KVM here: %s\n", probe.reason.c_str());
}

TEST(KvmProbeTest, NoDevice) {
  KvmProbe probe = probe_kvm(milliseconds(1000), "/nonexistent/kvm");
  EXPECT_EQ(probe.answer, KvmAnswer::kAbsent);
  EXPECT_NE(probe.reason.find("/nonexistent/kvm"), std::string::npos);
}

// A device that opens and knows no request of KVM's.
TEST(KvmProbeTest, ADeviceThatIsNoKvm) {
  KvmProbe probe = probe_kvm(milliseconds(1000), "/dev/null");
  EXPECT_EQ(probe.answer, KvmAnswer::kBroken);
  EXPECT_NE(probe.reason.find("version"), std::string::npos) << probe.reason;
}

// With no time at all the child looks to the parent like one that hangs.
TEST(KvmProbeTest, AProbeThatTakesTooLongIsGivenUp) {
  KvmAnswer answer = probe_kvm(milliseconds(0), "/dev/null").answer;
  EXPECT_TRUE(answer == KvmAnswer::kStuck || answer == KvmAnswer::kBroken);
}

TEST(KvmProbeTest, LeavesNoChildAndNoDescriptor) {
  auto descriptors = [] {
    int count = 0;
    for (int fd = 0; fd < 256; ++fd) {
      count += ::fcntl(fd, F_GETFD) >= 0 ? 1 : 0;
    }
    return count;
  };
  int before = descriptors();
  for (int i = 0; i < 8; ++i) {
    probe_kvm();
  }
  EXPECT_EQ(descriptors(), before);
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);
}

}  // namespace
}  // namespace bulkhead::host
