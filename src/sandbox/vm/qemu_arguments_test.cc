#include "sandbox/vm/qemu_arguments.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "sandbox/vm/accelerator.h"

namespace bulkhead::sandbox::vm {
namespace {

using testing::Contains;
using testing::HasSubstr;
using testing::Not;

TEST(QemuArgumentsTest, ACloneHasTheDevicesOfItsTemplate) {
  MachineShape shape{.memory = 256UL << 20};
  auto devices = [&](Origin origin) {
    std::string all;
    auto arguments = qemu_arguments("/qemu", shape, origin);
    for (size_t i = 0; i + 1 < arguments.size(); ++i) {
      all += arguments[i] == "-device" ? arguments[i + 1] + "\n" : "";
    }
    return all;
  };
  EXPECT_EQ(devices(Origin::kClone), devices(Origin::kTemplate));
  EXPECT_EQ(devices(Origin::kClone), devices(Origin::kBoot));
}

TEST(QemuArgumentsTest, ACloneMapsItsTemplateAndNeverWritesToIt) {
  MachineShape shape{.memory = 256UL << 20};
  EXPECT_THAT(qemu_arguments("/qemu", shape, Origin::kTemplate), Contains(HasSubstr("share=on")));
  EXPECT_THAT(qemu_arguments("/qemu", shape, Origin::kClone), Contains(HasSubstr("share=off")));
  EXPECT_THAT(qemu_arguments("/qemu", shape, Origin::kClone), Not(Contains("-kernel")));
  EXPECT_THAT(qemu_arguments("/qemu", shape, Origin::kBoot), Not(Contains(HasSubstr("mem-path"))));
}

TEST(QemuArgumentsTest, MitigationsStayOnWhereAProcessorSpeculates) {
  MachineShape shape{.accelerator = Accelerator::kKvm, .memory = 256UL << 20};
  EXPECT_THAT(qemu_arguments("/qemu", shape, Origin::kBoot), Not(Contains(HasSubstr("mitigations"))));
  EXPECT_THAT(qemu_arguments("/qemu", shape, Origin::kBoot), Contains("kvm"));
  shape.accelerator = Accelerator::kTcg;
  EXPECT_THAT(qemu_arguments("/qemu", shape, Origin::kBoot), Contains(HasSubstr("mitigations=off")));
}

TEST(QemuArgumentsTest, WithoutALogThereIsNoSerialPortToLookFor) {
  MachineShape shape{.memory = 256UL << 20};
  EXPECT_THAT(qemu_arguments("/qemu", shape, Origin::kBoot), Contains(HasSubstr("8250.nr_uarts=0")));
  shape.console_log = ConsoleLog::kFile;
  EXPECT_THAT(qemu_arguments("/qemu", shape, Origin::kBoot), Not(Contains(HasSubstr("8250.nr_uarts=0"))));
}

TEST(QemuArgumentsTest, AStockKernelFindsItsDevicesByAcpi) {
  MachineShape shape{.memory = 256UL << 20, .devices = kernels::Devices::kAcpi};
  auto arguments = qemu_arguments("/qemu", shape, Origin::kBoot);
  EXPECT_THAT(arguments, Contains(HasSubstr("acpi=on")));
  EXPECT_THAT(arguments, Contains(HasSubstr("auto-kernel-cmdline=off")));
  EXPECT_THAT(arguments, Not(Contains(HasSubstr("nolapic_timer")))) << "there is no other timer";
  EXPECT_NE(arguments, qemu_arguments("/qemu", {.memory = 256UL << 20}, Origin::kBoot));
}

TEST(AcceleratorTest, RateIsThatOfAProcessor) {
  EXPECT_GT(time_stamp_rate(), 500'000U);
  EXPECT_LT(time_stamp_rate(), 10'000'000U);
}

}  // namespace
}  // namespace bulkhead::sandbox::vm
