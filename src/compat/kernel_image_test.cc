#include "compat/kernel_image.h"

#include <gtest/gtest.h>

namespace bulkhead::compat {
namespace {

TEST(KernelImageTest, ReadsTheBannerOfAVmlinux) {
  std::string image =
      "\x7f"
      "ELF";
  image.append(5000, '\0');
  image += "Linux version %s";
  image.push_back('\0');
  image += "Linux version 6.12.57 (bulkhead@bulkhead)\nmore";
  EXPECT_EQ(kernel_release(image), "6.12.57");
  EXPECT_EQ(kernel_banner(image), "Linux version 6.12.57 (bulkhead@bulkhead)");
  EXPECT_EQ(kernel_banner(image + std::string(1 << 20, 'x')), "Linux version 6.12.57 (bulkhead@bulkhead)");
  EXPECT_EQ(kernel_banner(image.substr(0, 5000)), "");
  EXPECT_EQ(kernel_release("Linux version 6.12.57 "), "");
  EXPECT_EQ(kernel_release(""), "");
}

TEST(KernelImageTest, ReadsTheHeaderOfABzImage) {
  std::string image(0x600, '\0');
  image.replace(0x202, 4, "HdrS");
  image[0x20e] = '\x80';
  image[0x20f] = '\x02';
  std::string release = "6.1.0-41-cloud-amd64 (debian-kernel@lists.debian.org)";
  image.replace(0x480, release.size(), release);
  EXPECT_EQ(kernel_release(image), "6.1.0-41-cloud-amd64");
  image[0x20f] = '\x7f';  // beyond the end
  EXPECT_EQ(kernel_release(image), "");
}

}  // namespace
}  // namespace bulkhead::compat
