#include "kernels/module_info.h"

#include <elf.h>

#include <algorithm>
#include <cstring>
#include <optional>

#include "support/error.h"

namespace bulkhead::kernels {
namespace {

template <typename Record>
std::optional<Record> record_at(std::string_view bytes, uint64_t offset) {
  if (offset > bytes.size() || bytes.size() - offset < sizeof(Record)) {
    return std::nullopt;
  }
  Record record;
  std::memcpy(&record, bytes.data() + offset, sizeof(record));
  return record;
}

std::string_view bytes_of(std::string_view elf, const Elf64_Shdr& section) {
  bool there =
      section.sh_type != SHT_NOBITS && section.sh_offset <= elf.size() && section.sh_size <= elf.size() - section.sh_offset;
  return there ? elf.substr(section.sh_offset, section.sh_size) : std::string_view();
}

/// SECURITY: every offset is the file's, and checked before it is followed.
std::string_view find_section(std::string_view elf, std::string_view wanted) {
  auto header = record_at<Elf64_Ehdr>(elf, 0);
  if (!header || !elf.starts_with(ELFMAG) || header->e_ident[EI_CLASS] != ELFCLASS64 ||
      header->e_ident[EI_DATA] != ELFDATA2LSB) {
    return {};
  }
  const auto section = [&](unsigned index) {
    uint64_t offset = header->e_shoff + uint64_t{index} * sizeof(Elf64_Shdr);
    return header->e_shoff < elf.size() ? record_at<Elf64_Shdr>(elf, offset) : std::nullopt;
  };
  auto names_section = section(header->e_shstrndx);
  std::string_view names = names_section ? bytes_of(elf, *names_section) : std::string_view();
  for (unsigned i = 0; i < header->e_shnum; ++i) {
    auto each = section(i);
    if (each && each->sh_name < names.size()) {
      std::string_view name = names.substr(each->sh_name);
      if (name.substr(0, name.find('\0')) == wanted) {
        return bytes_of(elf, *each);
      }
    }
  }
  return {};
}

std::vector<std::string> split_names(std::string_view list, char separator) {
  std::vector<std::string> names;
  while (!list.empty()) {
    size_t end = std::min(list.find(separator), list.size());
    if (end > 0) {
      names.push_back(module_name(list.substr(0, end)));
    }
    list.remove_prefix(std::min(end + 1, list.size()));
  }
  return names;
}

/// "pre: a b post: c"
std::vector<std::string> split_likes(std::string_view text) {
  constexpr std::string_view kBefore = "pre:";
  size_t start = text.find(kBefore);
  if (start == std::string_view::npos) {
    return {};
  }
  text.remove_prefix(start + kBefore.size());
  return split_names(text.substr(0, text.find("post:")), ' ');
}

}  // namespace

std::string module_name(std::string_view text) {
  std::string name(text);
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

ModuleInfo module_info(std::string_view elf) {
  std::string_view section = find_section(elf, ".modinfo");
  if (section.empty()) {
    throw Error(ErrorCode::kInvalidArgument, "it is no kernel module for x86-64");
  }
  ModuleInfo info;
  while (!section.empty()) {
    std::string_view entry = section.substr(0, section.find('\0'));
    section.remove_prefix(std::min(entry.size() + 1, section.size()));
    size_t equals = std::min(entry.find('='), entry.size());
    std::string_view key = entry.substr(0, equals);
    std::string_view value = entry.substr(std::min(equals + 1, entry.size()));
    if (key == "vermagic") {
      info.version_magic = value;
    } else if (key == "depends") {
      info.needs = split_names(value, ',');
    } else if (key == "softdep") {
      std::vector<std::string> more = split_likes(value);
      info.likes.insert(info.likes.end(), more.begin(), more.end());
    } else if (key == "alias") {
      info.aliases.emplace_back(value);
    }
  }
  return info;
}

}  // namespace bulkhead::kernels
