#include "kernels/catalogue.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include "kernels/needs.h"
#include "support/error.h"
#include "support/files.h"

namespace bulkhead::kernels {
namespace {

class CatalogueTest : public testing::Test {
 protected:
  CatalogueTest() {
    std::string pattern = testing::TempDir() + "kernels-XXXXXX";
    root_ = ::mkdtemp(pattern.data());
    write("builtin", vmlinux("6.12.57"));
  }
  ~CatalogueTest() override { std::filesystem::remove_all(root_); }

  static std::string vmlinux(const std::string& release) {
    std::string bytes(64, '\0');
    bytes.replace(0, 4, "\177ELF");
    bytes[18] = 62;
    return bytes + "Linux version " + release + " (x)";
  }
  std::filesystem::path write(const std::string& name, const std::string& bytes) {
    replace_file(root_ / name, bytes, 0644, Durability::kUnsynced);
    return root_ / name;
  }
  ErrorCode code_of_add(const std::string& name, const std::filesystem::path& kernel,
                        const std::filesystem::path& config = {}) {
    try {
      catalogue().add(name, {.kernel = kernel, .config = config, .modules = {}});
    } catch (const Error& error) {
      return error.code();
    }
    return ErrorCode::kAlreadyDone;  // nothing was thrown
  }
  Catalogue catalogue() const {
    return {root_ / "kernels", {.kernel = root_ / "builtin", .emulated = root_ / "emulated"}, root_ / "shipped"};
  }

  std::filesystem::path root_;
};

TEST_F(CatalogueTest, TheBuiltInOneIsFirst) {
  ASSERT_EQ(catalogue().list().size(), 1U);
  EXPECT_EQ(catalogue().list()[0].release, "6.12.57");
  catalogue().add("old", {.kernel = write("v", vmlinux("5.10.1")), .config = {}, .modules = {}});
  catalogue().add("new", {.kernel = write("v", vmlinux("6.18.1")), .config = {}, .modules = {}});
  auto list = catalogue().list();
  ASSERT_EQ(list.size(), 3U);
  EXPECT_EQ(list[0].name + list[1].name + list[2].name, "builtinnewold");
  EXPECT_EQ(list[0].emulated, root_ / "emulated");
  EXPECT_EQ(list[1].emulated, "") << "one file for all";
}

TEST_F(CatalogueTest, AddsAndRemoves) {
  Entry added = catalogue().add("6.1-cloud", {.kernel = write("v", vmlinux("6.1.192")), .config = {}, .modules = {}});
  EXPECT_EQ(read_file(added.kernel), vmlinux("6.1.192"));
  auto found = catalogue().find("6.1-cloud");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->release, "6.1.192");
  EXPECT_EQ(found->digest, added.digest);
  EXPECT_FALSE(found->config_checked);
  EXPECT_EQ(code_of_add("6.1-cloud", root_ / "v"), ErrorCode::kConflict);
  catalogue().remove("6.1-cloud");
  EXPECT_FALSE(catalogue().find("6.1-cloud"));
  EXPECT_THROW(catalogue().remove("6.1-cloud"), Error);
  EXPECT_THROW(catalogue().remove("builtin"), Error);
  EXPECT_TRUE(std::filesystem::is_empty(root_ / "kernels"));
}

TEST_F(CatalogueTest, AShippedOneIsNeverHidden) {
  Catalogue(root_ / "shipped", {}).add("stock", {.kernel = write("v", vmlinux("6.1.192")), .config = {}, .modules = {}});
  EXPECT_EQ(code_of_add("stock", write("v", vmlinux("6.12.1"))), ErrorCode::kConflict);
  ASSERT_TRUE(catalogue().find("stock"));
  // A folder may hold one of the name, from before Bulkhead brought its own.
  Catalogue(root_ / "kernels", {}).add("stock", {.kernel = root_ / "v", .config = {}, .modules = {}});
  EXPECT_EQ(catalogue().find("stock")->release, "6.1.192");
  auto list = catalogue().list();
  ASSERT_EQ(list.size(), 2U);
  EXPECT_EQ(list[1].release, "6.1.192");
  EXPECT_TRUE(list[1].shipped);
  catalogue().remove("stock");  // the hidden one
  EXPECT_TRUE(std::filesystem::is_empty(root_ / "kernels"));
  EXPECT_THROW(catalogue().remove("stock"), Error);
  EXPECT_TRUE(catalogue().find("stock"));
}

TEST_F(CatalogueTest, AVersionIsReadWhereTheReleaseHasNone) {
  std::string debian = vmlinux("6.1.0-56-cloud-amd64") + " #1 SMP Debian 6.1.192-2 (2026-11-16)\n";
  EXPECT_EQ(catalogue().add("debian", {.kernel = write("v", debian), .config = {}, .modules = {}}).version, "6.1.192");
  EXPECT_EQ(catalogue().find("debian")->version, "6.1.192");
  catalogue().add("newer", {.kernel = write("v", vmlinux("6.1.193")), .config = {}, .modules = {}});
  catalogue().add("older", {.kernel = write("v", vmlinux("6.1.191")), .config = {}, .modules = {}});
  auto list = catalogue().list();
  ASSERT_EQ(list.size(), 4U);
  EXPECT_EQ(list[1].name + list[2].name + list[3].name, "newerdebianolder");
}

TEST_F(CatalogueTest, ARangeOfVersionsIsNoName) {
  for (const char* name : {"6", "6.1", "6.1.192", "any"}) {
    EXPECT_EQ(code_of_add(name, write("v", vmlinux("6.12.1"))), ErrorCode::kInvalidArgument) << name;
  }
  EXPECT_EQ(catalogue().list().size(), 1U);
  EXPECT_EQ(code_of_add("6.1-any", root_ / "v"), ErrorCode::kAlreadyDone);
}

TEST_F(CatalogueTest, RefusesWhatIsNoKernelAndLeavesNothing) {
  for (const char* name : {"", ".", "..", "../x", "a/b", "A", "-x", ".x", "builtin", "a b", "a\n"}) {
    EXPECT_EQ(code_of_add(name, write("v", vmlinux("6.1"))), ErrorCode::kInvalidArgument) << name;
    EXPECT_FALSE(name != std::string("builtin") && catalogue().find(name)) << name;
  }
  EXPECT_EQ(code_of_add("x", write("v", "#!/bin/sh")), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of_add("x", write("v", "")), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of_add("x", write("v", "\177ELF")), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of_add("x", write("v", vmlinux("none"))), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of_add("x", root_), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of_add("x", "/dev/zero"), ErrorCode::kInvalidArgument);
  EXPECT_EQ(code_of_add("x", root_ / "missing"), ErrorCode::kNotFound);
  EXPECT_EQ(catalogue().list().size(), 1U);
}

TEST_F(CatalogueTest, AConfigurationIsChecked) {
  auto kernel = write("v", vmlinux("6.1"));
  auto config = write("config", "CONFIG_PVH=y\nCONFIG_EROFS_FS=m\n");
  EXPECT_EQ(code_of_add("x", kernel, config), ErrorCode::kInvalidArgument);
  std::string all = "CONFIG_VIRTIO_MMIO_CMDLINE_DEVICES=y\n";
  Findings nothing = examine("", {});
  for (const std::string& option : nothing.missing) {
    all += option + "=y\n";
  }
  write("config", all);
  Entry added = catalogue().add("x", {.kernel = kernel, .config = config, .modules = {}});
  EXPECT_TRUE(added.config_checked);
  EXPECT_EQ(added.boot.devices, Devices::kCommandLine);
  EXPECT_EQ(added.boot.shares, Shares::kNone);
  EXPECT_EQ(examine("CONFIG_PVH=y", {}).missing.size() + 1, nothing.missing.size());
  EXPECT_EQ(examine("# CONFIG_PVH is not set\nXCONFIG_PVH=y\nCONFIG_PVH=yes\n", {}).missing, nothing.missing);
}

TEST_F(CatalogueTest, DamageIsTold) {
  catalogue().add("x", {.kernel = write("v", vmlinux("6.1")), .config = {}, .modules = {}});
  replace_file(root_ / "kernels/x/entry.json", "{}", 0644, Durability::kUnsynced);
  EXPECT_THROW(catalogue().find("x"), Error);
}

}  // namespace
}  // namespace bulkhead::kernels
