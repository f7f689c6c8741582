#include "host/emulators.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace bulkhead::host {
namespace {

TEST(Emulators, KnowsArchitecturesByTheirNamesInImages) {
  for (const char* architecture : {"arm64", "arm", "riscv64", "ppc64le", "s390x", "386"}) {
    ASSERT_NE(emulator_for(architecture), nullptr) << architecture;
  }
  // SECURITY: the name is an image's or an annotation's: it never becomes a path.
  for (const char* architecture : {"", "vax", "../../bin/sh", "aarch64", "qemu-arm-static"}) {
    EXPECT_EQ(emulator_for(architecture), nullptr) << architecture;
  }
}

TEST(Emulators, RegistersByTheHeaderOfPrograms) {
  EXPECT_EQ(registration(*emulator_for("arm64"), "/e"),
            R"(:qemu-aarch64:M::\x7f\x45\x4c\x46\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00:)"
            R"(\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:/e:PCF)");
  EXPECT_THAT(registration(*emulator_for("s390x"), "/e"),
              testing::HasSubstr(R"(\x02\x02\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\x16:)"));
  EXPECT_THAT(registration(*emulator_for("s390x"), "/e"), testing::HasSubstr(R"(\xff\xfe\xff\xff:/e:PCF)"));
}

}  // namespace
}  // namespace bulkhead::host
