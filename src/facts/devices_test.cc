#include "facts/devices.h"

#include <gtest/gtest.h>

#include "facts/facts.pb.h"

namespace bulkhead::facts {
namespace {

Device node(const char* kind, uint32_t major, uint32_t minor) {
  Device device;
  device.set_kind(kind);
  device.set_major(major);
  device.set_minor(minor);
  return device;
}

TEST(Devices, TheRulesSayWhatMayBeDone) {
  auto rules = parse_device_rules("c *:* m\nb *:* m\nc 1:3 rwm\nc 136:* r\nc 136:* w\nnonsense\nc 1 r\n");
  ASSERT_EQ(rules.size(), 5U);
  EXPECT_EQ(allowed_access(node("c", 1, 3), rules), "rwm");
  EXPECT_EQ(allowed_access(node("c", 1, 4), rules), "m");
  EXPECT_EQ(allowed_access(node("c", 136, 9), rules), "rwm");
  EXPECT_EQ(allowed_access(node("b", 1, 3), rules), "m");
}

TEST(Devices, OneRuleCanBeAll) {
  EXPECT_EQ(allowed_access(node("b", 8, 0), parse_device_rules("a *:* rwm\n")), "rwm");
  EXPECT_EQ(allowed_access(node("b", 8, 0), {}), "");
}

}  // namespace
}  // namespace bulkhead::facts
