#include "sandbox/vm/qemu_arguments.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sandbox/vm/accelerator.h"

namespace bulkhead::sandbox::vm {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Not;

TEST(QemuArgumentsTest, SameDevicesWithAndWithoutNetwork) {
  MachineShape shape{.memory = 256UL << 20};
  auto devices = [&] {
    std::string all;
    auto arguments = qemu_arguments("/qemu", shape);
    for (size_t i = 0; i + 1 < arguments.size(); ++i) {
      all += arguments[i] == "-device" ? arguments[i + 1] + "\n" : "";
    }
    return all;
  };
  std::string without = devices();
  shape.network = Network::kTap;
  EXPECT_EQ(devices(), without);
}

TEST(QemuArgumentsTest, MitigationsStayOnWhereAProcessorSpeculates) {
  MachineShape shape{.accelerator = Accelerator::kKvm, .memory = 256UL << 20};
  EXPECT_THAT(qemu_arguments("/qemu", shape), Not(Contains(HasSubstr("mitigations"))));
  EXPECT_THAT(qemu_arguments("/qemu", shape), Contains("kvm"));
  shape.accelerator = Accelerator::kTcg;
  EXPECT_THAT(qemu_arguments("/qemu", shape), Contains(HasSubstr("mitigations=off")));
}

TEST(AcceleratorTest, FlagsAreWholeWords) {
  EXPECT_TRUE(has_virtualization_flag("processor\t: 0\nflags\t\t: fpu vme svm\nbugs\t: none\n"));
  EXPECT_TRUE(has_virtualization_flag("processor\t: 0\nflags\t\t: fpu vmx lm\n"));
  EXPECT_FALSE(has_virtualization_flag("processor\t: 0\nflags\t\t: fpu svm_lock avmx\nbugs\t: vmx \n"));
  EXPECT_FALSE(has_virtualization_flag(""));
}

TEST(AcceleratorTest, RateIsThatOfAProcessor) {
  EXPECT_GT(time_stamp_rate(), 500'000U);
  EXPECT_LT(time_stamp_rate(), 10'000'000U);
}

}  // namespace
}  // namespace bulkhead::sandbox::vm
