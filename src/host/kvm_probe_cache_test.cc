#include "host/kvm_probe_cache.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>

#include "support/files.h"

namespace bulkhead::host {
namespace {

class KvmProbeCacheTest : public testing::Test {
 protected:
  KvmProbeCacheTest() {
    std::string pattern = testing::TempDir() + "kvm-probe-XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
  }
  ~KvmProbeCacheTest() override { std::filesystem::remove_all(folder_); }

  std::string kept() { return read_file(folder_ / "kvm-probe"); }
  void write(const std::string& text) { replace_file(folder_ / "kvm-probe", text, 0600, Durability::kUnsynced); }

  std::filesystem::path folder_;
};

TEST_F(KvmProbeCacheTest, IsAskedOnce) {
  KvmProbe first = probe_kvm_once(folder_, "/dev/null");
  EXPECT_EQ(first.answer, KvmAnswer::kBroken);
  std::string text = kept();
  // Another answer to the same question, to see that it is taken.
  write(text.replace(text.find("broken"), 6, "works"));
  EXPECT_EQ(probe_kvm_once(folder_, "/dev/null").answer, KvmAnswer::kWorks);
  EXPECT_EQ(probe_kvm_once(folder_, "/dev/null").reason, first.reason);
}

TEST_F(KvmProbeCacheTest, AnotherDeviceOrBootIsAnotherQuestion) {
  probe_kvm_once(folder_, "/dev/null");
  std::string text = kept();
  write("0" + text.replace(text.find("broken"), 6, "works"));
  EXPECT_EQ(probe_kvm_once(folder_, "/dev/null").answer, KvmAnswer::kBroken);
  write(text);
  EXPECT_EQ(probe_kvm_once(folder_, "/dev/zero").answer, KvmAnswer::kBroken);
}

TEST_F(KvmProbeCacheTest, DamageCostsAProbe) {
  for (const char* damage : {"", "\n", "\n\n\n", "x", "\nworks\n", "\nworks\nbecause\n"}) {
    write(damage);
    EXPECT_EQ(probe_kvm_once(folder_, "/dev/null").answer, KvmAnswer::kBroken);
  }
  EXPECT_EQ(probe_kvm_once(folder_ / "missing", "/dev/null").answer, KvmAnswer::kBroken);
}

TEST_F(KvmProbeCacheTest, WhatMayChangeIsNotKept) {
  EXPECT_EQ(probe_kvm_once(folder_, "/nonexistent/kvm").answer, KvmAnswer::kAbsent);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "kvm-probe"));
}

}  // namespace
}  // namespace bulkhead::host
