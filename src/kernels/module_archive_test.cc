#include "kernels/module_archive.h"

#include <elf.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <cstring>

#include "kernels/module_info.h"
#include "support/error.h"
#include "support/files.h"

namespace bulkhead::kernels {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

/// A file of two sections, .modinfo and the names of sections.
std::string module_file(const std::string& info) {
  const std::string names("\0.modinfo\0", 10);
  Elf64_Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_shoff = sizeof(header) + info.size() + names.size();
  header.e_shnum = 2;
  header.e_shstrndx = 1;
  Elf64_Shdr sections[2] = {};
  sections[0] = {.sh_name = 1, .sh_type = SHT_PROGBITS, .sh_offset = sizeof(header), .sh_size = info.size()};
  sections[1] = {.sh_name = 0, .sh_type = SHT_STRTAB, .sh_offset = sizeof(header) + info.size(), .sh_size = names.size()};
  return std::string(reinterpret_cast<const char*>(&header), sizeof(header)) + info + names +
         std::string(reinterpret_cast<const char*>(sections), sizeof(sections));
}

std::string info_of(std::initializer_list<std::string> entries) {
  std::string info = std::string("vermagic=6.1 SMP ") + '\0';
  for (const std::string& entry : entries) {
    info += entry + '\0';
  }
  return info;
}

TEST(ModuleInfo, ReadsWhatItSays) {
  ModuleInfo info = module_info(module_file(
      info_of({"license=GPL", "alias=fs-x", "alias=pci:v*", "depends=a-b,c", "softdep=pre: d e post: f", "nothing"})));
  EXPECT_EQ(info.version_magic, "6.1 SMP ");
  EXPECT_THAT(info.needs, ElementsAre("a_b", "c"));
  EXPECT_THAT(info.likes, ElementsAre("d", "e"));
  EXPECT_THAT(info.aliases, ElementsAre("fs-x", "pci:v*"));
}

TEST(ModuleInfo, AnyBytesAreFine) {
  std::string file = module_file(info_of({"depends=a"}));
  for (size_t size = 0; size < file.size(); ++size) {
    try {
      module_info(std::string_view(file).substr(0, size));
    } catch (const Error&) {
    }
  }
  for (size_t place = 16; place < file.size(); ++place) {
    std::string broken = file;
    broken[place] = '\xff';
    try {
      module_info(broken);
    } catch (const Error&) {
    }
  }
  EXPECT_THROW(module_info("x"), Error);
}

class ModuleArchiveTest : public testing::Test {
 protected:
  ModuleArchiveTest() {
    std::string pattern = testing::TempDir() + "modules-XXXXXX";
    root_ = ::mkdtemp(pattern.data());
    put("built", "vermagic=6.1 SMP ");
    std::filesystem::remove(root_ / "built.ko");
    replace_file(root_ / "modules.builtin", "kernel/built.ko\n", 0644, Durability::kUnsynced);
  }
  ~ModuleArchiveTest() override { std::filesystem::remove_all(root_); }
  void put(const std::string& name, const std::string& info) {
    replace_file(root_ / (name + ".ko"), module_file(info), 0644, Durability::kUnsynced);
  }
  std::string archive(const std::vector<std::string>& boot, const std::vector<std::string>& on_demand) {
    return make_module_archive(ModuleTree({root_}), "6.1", boot, on_demand);
  }
  std::filesystem::path root_;
};

TEST_F(ModuleArchiveTest, LoadsInOrderOfNeed) {
  put("top", info_of({"depends=middle-one,built"}));
  put("middle-one", info_of({"depends=low", "softdep=pre: top absent"}));
  put("low", info_of({}));
  put("other", info_of({"alias=net-pf-9", "alias=char-major-10-200", "alias=devname:net/x", "alias=pci:*"}));
  put("unwanted", info_of({}));
  std::string made = archive({"top", "absent"}, {"oth*", "nothing*"});
  EXPECT_THAT(made, HasSubstr("low\nmiddle_one\ntop\n"));
  EXPECT_THAT(made, HasSubstr("top low middle_one\n"));
  EXPECT_THAT(made, HasSubstr("net_pf_9 other\n"));
  EXPECT_THAT(made, HasSubstr("net/x 10 200\n"));
  EXPECT_THAT(made, Not(HasSubstr("unwanted")));
}

TEST_F(ModuleArchiveTest, WhatDoesNotFitIsNamed) {
  put("lonely", info_of({"depends=absent"}));
  EXPECT_THROW(archive({"lonely"}, {}), Error);
  put("alien", std::string("vermagic=6.12 SMP ") + '\0');
  EXPECT_THROW(archive({"alien"}, {}), Error);
  put("broken", "");
  EXPECT_THROW(archive({"broken"}, {}), Error);
  EXPECT_THROW(ModuleTree({root_ / "absent"}), Error);
}

TEST_F(ModuleArchiveTest, LinksAreNotFollowed) {
  std::filesystem::create_symlink("/etc/passwd", root_ / "link.ko");
  EXPECT_FALSE(ModuleTree({root_}).has("link"));
}

}  // namespace
}  // namespace bulkhead::kernels
