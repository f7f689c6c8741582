#include "archive/tar_writer.h"

#include <fmt/format.h>

#include <string_view>

namespace bulkhead::archive {
namespace {

constexpr size_t kBlock = 512;
constexpr size_t kNameField = 100;
// What the octal digits of a field hold.
constexpr uint64_t kMaxShort = 07777777;
constexpr uint64_t kMaxLong = 077777777777;

char type_flag(TarEntry::Type type) {
  switch (type) {
    case TarEntry::Type::kFile: return '0';
    case TarEntry::Type::kHardLink: return '1';
    case TarEntry::Type::kSymlink: return '2';
    case TarEntry::Type::kCharacterDevice: return '3';
    case TarEntry::Type::kBlockDevice: return '4';
    case TarEntry::Type::kFolder: return '5';
    case TarEntry::Type::kFifo: return '6';
  }
  return '0';
}

void put(std::string& block, size_t offset, std::string_view text) { block.replace(offset, text.size(), text); }

/// `digits` octal digits and a NUL; 0 where the number is larger (the pax header says it then).
void put_number(std::string& block, size_t offset, size_t digits, uint64_t number, uint64_t largest) {
  put(block, offset, fmt::format("{:0{}o}", number > largest ? 0 : number, digits));
}

std::string ustar_block(const TarEntry& entry, std::string_view name, char type, uint64_t size) {
  std::string block(kBlock, '\0');
  put(block, 0, name.substr(0, kNameField));
  put_number(block, 100, 7, entry.mode & 07777U, kMaxShort);
  put_number(block, 108, 7, entry.uid, kMaxShort);
  put_number(block, 116, 7, entry.gid, kMaxShort);
  put_number(block, 124, 11, size, kMaxLong);
  put_number(block, 136, 11, entry.mtime.tv_sec < 0 ? 0 : static_cast<uint64_t>(entry.mtime.tv_sec), kMaxLong);
  block[156] = type;
  put(block, 157, std::string_view(entry.link).substr(0, kNameField));
  put(block, 257,
      std::string_view("ustar\0"
                       "00",
                       8));
  put_number(block, 329, 7, entry.device_major, kMaxShort);
  put_number(block, 337, 7, entry.device_minor, kMaxShort);
  put(block, 148, "        ");
  unsigned sum = 0;
  for (char c : block) {
    sum += static_cast<unsigned char>(c);
  }
  put(block, 148, std::string_view(fmt::format("{:06o}", sum) + '\0'));
  return block;
}

/// "LENGTH KEY=VALUE\n", where the length counts itself.
void add_record(std::string& records, std::string_view key, std::string_view value) {
  size_t rest = key.size() + value.size() + 3;
  size_t length = rest + 1;
  while (fmt::formatted_size("{}", length) + rest != length) {
    length = fmt::formatted_size("{}", length) + rest;
  }
  records += fmt::format("{} {}=", length, key);
  records.append(value);
  records += '\n';
}

std::string pax_records(const TarEntry& entry, std::string_view name, uint64_t size) {
  std::string records;
  if (name.size() > kNameField) {
    add_record(records, "path", name);
  }
  if (entry.link.size() > kNameField) {
    add_record(records, "linkpath", entry.link);
  }
  if (size > kMaxLong) {
    add_record(records, "size", std::to_string(size));
  }
  if (entry.uid > kMaxShort) {
    add_record(records, "uid", std::to_string(entry.uid));
  }
  if (entry.gid > kMaxShort) {
    add_record(records, "gid", std::to_string(entry.gid));
  }
  if (entry.mtime.tv_sec < 0 || static_cast<uint64_t>(entry.mtime.tv_sec) > kMaxLong) {
    add_record(records, "mtime", std::to_string(entry.mtime.tv_sec));
  }
  for (const auto& [attribute, value] : entry.xattrs) {
    add_record(records, "SCHILY.xattr." + attribute, value);
  }
  return records;
}

}  // namespace

size_t tar_padding(uint64_t size) { return (kBlock - size % kBlock) % kBlock; }

std::string tar_header(const TarEntry& entry) {
  std::string name = entry.name;
  if (entry.type == TarEntry::Type::kFolder && !name.ends_with('/')) {
    name += '/';
  }
  uint64_t size = entry.type == TarEntry::Type::kFile ? entry.size : 0;
  std::string header;
  if (std::string records = pax_records(entry, name, size); !records.empty()) {
    TarEntry extended;
    extended.mode = 0644;
    header = ustar_block(extended, "PaxHeaders/entry", 'x', records.size());
    header += records;
    header.append(tar_padding(records.size()), '\0');
  }
  return header + ustar_block(entry, name, type_flag(entry.type), size);
}

}  // namespace bulkhead::archive
