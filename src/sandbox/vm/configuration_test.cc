#include "sandbox/vm/configuration.h"

#include <gtest/gtest.h>

#include "support/error.h"
#include "support/files.h"
#include "support/random.h"

namespace bulkhead::sandbox::vm {
namespace {

Configuration both_kernels(Accelerator accelerator) {
  Configuration configuration;
  configuration.kernel = "/kvm";
  configuration.emulated_kernel = "/emulated";
  configuration.accelerator = accelerator;
  return configuration;
}

class ConfigurationTest : public testing::Test {
 protected:
  ~ConfigurationTest() override { std::filesystem::remove(file_); }
  Configuration read(const std::string& text, Configuration defaults) const {
    replace_file(file_, text, 0600, Durability::kUnsynced);
    return read_configuration(file_, std::move(defaults));
  }

 private:
  std::filesystem::path file_ = testing::TempDir() + "vm-" + random_hex(8) + ".json";
};

TEST_F(ConfigurationTest, TheBuiltInKernelIsThatOfTheAccelerator) {
  EXPECT_EQ(with_built_in_kernel(both_kernels(Accelerator::kKvm)).kernel, "/kvm") << "it has the mitigations";
  EXPECT_EQ(with_built_in_kernel(both_kernels(Accelerator::kTcg)).kernel, "/emulated");
}

TEST_F(ConfigurationTest, TheEmulatedOneIsForOneProcessor) {
  Configuration two = both_kernels(Accelerator::kTcg);
  two.processors = 2;
  EXPECT_EQ(with_built_in_kernel(two).kernel, "/kvm");
}

TEST_F(ConfigurationTest, AKernelThatWasSetIsForAll) {
  Configuration set = read(R"({"kernel": "/mine", "accelerator": "tcg"})", both_kernels(Accelerator::kKvm));
  EXPECT_EQ(with_built_in_kernel(set).kernel, "/mine");
}

TEST_F(ConfigurationTest, RefusesWhatItDoesNotKnow) {
  EXPECT_THROW(read(R"({"kernell": "/mine"})", {}), Error);
  EXPECT_THROW(read(R"({"accelerator": "xen"})", {}), Error);
}

}  // namespace
}  // namespace bulkhead::sandbox::vm
