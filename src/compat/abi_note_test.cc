#include "compat/abi_note.h"

#include <elf.h>
#include <gtest/gtest.h>

#include <cstring>
#include <string>

#include "support/files.h"

namespace bulkhead::compat {
namespace {

template <typename Number>
void put(std::string& bytes, size_t offset, Number value) {
  std::memcpy(bytes.data() + offset, &value, sizeof(value));
}

/// A 64-bit little-endian file of one PT_NOTE segment.
std::string file_with(const std::string& notes, uint64_t alignment = 4) {
  std::string bytes(sizeof(Elf64_Ehdr) + sizeof(Elf64_Phdr), '\0');
  Elf64_Ehdr header{};
  std::memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = ELFCLASS64;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_phoff = sizeof(header);
  header.e_phentsize = sizeof(Elf64_Phdr);
  header.e_phnum = 1;
  Elf64_Phdr segment{};
  segment.p_type = PT_NOTE;
  segment.p_offset = bytes.size();
  segment.p_filesz = notes.size();
  segment.p_align = alignment;
  put(bytes, 0, header);
  put(bytes, sizeof(header), segment);
  return bytes + notes;
}

std::string note(uint32_t type, const std::string& description, const std::string& name = std::string("GNU\0", 4)) {
  std::string bytes(12, '\0');
  put(bytes, 0, static_cast<uint32_t>(name.size()));
  put(bytes, 4, static_cast<uint32_t>(description.size()));
  put(bytes, 8, type);
  return bytes + name + description;
}

std::string description(uint32_t system, uint32_t major, uint32_t minor, uint32_t patch) {
  std::string bytes(16, '\0');
  put(bytes, 0, system);
  put(bytes, 4, major);
  put(bytes, 8, minor);
  put(bytes, 12, patch);
  return bytes;
}

TEST(AbiNoteTest, ReadsTheNote) {
  EXPECT_EQ(minimum_kernel(file_with(note(NT_GNU_ABI_TAG, description(0, 3, 2, 0)))), (KernelVersion{3, 2, 0}));
}

TEST(AbiNoteTest, FindsItBehindOthers) {
  std::string build_id = note(NT_GNU_BUILD_ID, std::string(20, 'x'));
  EXPECT_EQ(minimum_kernel(file_with(build_id + note(NT_GNU_ABI_TAG, description(0, 6, 1, 5)))), (KernelVersion{6, 1, 5}));
  std::string other = note(NT_GNU_ABI_TAG, description(0, 9, 9, 9), std::string("XYZ\0", 4));
  EXPECT_EQ(minimum_kernel(file_with(other + note(NT_GNU_ABI_TAG, description(0, 4, 4, 0)))), (KernelVersion{4, 4, 0}));
}

TEST(AbiNoteTest, OtherSystemsAndFilesNameNone) {
  EXPECT_FALSE(minimum_kernel(file_with(note(NT_GNU_ABI_TAG, description(1, 5, 0, 0)))));  // the Hurd
  EXPECT_FALSE(minimum_kernel(file_with("")));
  EXPECT_FALSE(minimum_kernel(""));
  EXPECT_FALSE(minimum_kernel("#!/bin/sh\n"));
  EXPECT_FALSE(minimum_kernel(ELFMAG));
}

TEST(AbiNoteTest, EveryTruncationIsHarmless) {
  std::string whole =
      file_with(note(NT_GNU_BUILD_ID, "12345") + std::string(3, '\0') + note(NT_GNU_ABI_TAG, description(0, 3, 2, 0)));
  ASSERT_TRUE(minimum_kernel(whole));
  for (size_t size = 0; size < whole.size(); ++size) {
    EXPECT_FALSE(minimum_kernel(whole.substr(0, size))) << size;
  }
}

TEST(AbiNoteTest, HugeNumbersAreHarmless) {
  std::string good = file_with(note(NT_GNU_ABI_TAG, description(0, 3, 2, 0)));
  for (size_t offset = SELFMAG; offset + 8 <= good.size(); ++offset) {
    for (uint64_t value : {~uint64_t{0}, uint64_t{1} << 63, uint64_t{0xfffffff0}, uint64_t{0x7fffffffffffffff}}) {
      std::string bad = good;
      put(bad, offset, value);
      minimum_kernel(bad);  // any answer, and no crash under the sanitizers
    }
  }
}

TEST(AbiNoteTest, ReadsThisSystemsLibrary) {
  // Every test machine is Debian with glibc; its oldest kernel has been 3.2 since 2017.
  std::string head = read_file("/lib/x86_64-linux-gnu/libc.so.6", 16UL << 20).substr(0, kAbiNoteHead);
  std::optional<KernelVersion> version = minimum_kernel(head);
  ASSERT_TRUE(version);
  EXPECT_FALSE(*version < (KernelVersion{3, 2, 0}));
}

}  // namespace
}  // namespace bulkhead::compat
