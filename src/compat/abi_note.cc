#include "compat/abi_note.h"

#include <elf.h>

#include <algorithm>
#include <bit>
#include <cstdint>
#include <cstring>

namespace bulkhead::compat {
namespace {

constexpr size_t kMaxSegments = 128;
constexpr size_t kMaxNotes = 256;
constexpr uint32_t kLinux = 0;  // the first word of the note's description

/// Bounded reading in the file's own byte order and word size. Where something lies outside, it is zero.
class Reader {
 public:
  Reader(std::string_view bytes, bool is_64_bit, bool is_swapped)
      : bytes_(bytes), is_64_bit_(is_64_bit), is_swapped_(is_swapped) {}

  bool is_64_bit() const { return is_64_bit_; }
  uint64_t size() const { return bytes_.size(); }

  template <typename Number>
  Number number(uint64_t offset) const {
    Number value = 0;
    if (offset > bytes_.size() || bytes_.size() - offset < sizeof(value)) {
      return 0;
    }
    std::memcpy(&value, bytes_.data() + offset, sizeof(value));
    if (is_swapped_) {
      auto* start = reinterpret_cast<unsigned char*>(&value);
      std::reverse(start, start + sizeof(value));
    }
    return value;
  }
  /// An address-sized number.
  uint64_t word(uint64_t offset) const { return is_64_bit_ ? number<uint64_t>(offset) : number<uint32_t>(offset); }
  std::string_view piece(uint64_t offset, uint64_t size) const {
    return offset > bytes_.size() || bytes_.size() - offset < size ? std::string_view() : bytes_.substr(offset, size);
  }

 private:
  std::string_view bytes_;
  bool is_64_bit_, is_swapped_;
};

std::optional<KernelVersion> read_description(const Reader& reader, uint64_t offset) {
  if (reader.number<uint32_t>(offset) != kLinux) {
    return std::nullopt;
  }
  return KernelVersion{.major = reader.number<uint32_t>(offset + 4),
                       .minor = reader.number<uint32_t>(offset + 8),
                       .patch = reader.number<uint32_t>(offset + 12)};
}

/// One segment of notes, [offset, end). Each: size of the name, size of the description, type, then both, padded.
std::optional<KernelVersion> read_notes(const Reader& reader, uint64_t offset, uint64_t end, uint64_t alignment) {
  auto padded = [&](uint64_t size) { return (size + alignment - 1) / alignment * alignment; };
  for (size_t count = 0; count < kMaxNotes && end - offset >= sizeof(Elf64_Nhdr); ++count) {
    uint64_t name_size = reader.number<uint32_t>(offset);
    uint64_t description_size = reader.number<uint32_t>(offset + 4);
    uint32_t type = reader.number<uint32_t>(offset + 8);
    uint64_t name = offset + sizeof(Elf64_Nhdr);
    uint64_t description = offset + padded(sizeof(Elf64_Nhdr) + name_size);
    if (description > end || description_size > end - description) {
      return std::nullopt;
    }
    constexpr std::string_view kName("GNU\0", 4);
    if (type == NT_GNU_ABI_TAG && reader.piece(name, name_size) == kName && description_size >= 16) {
      return read_description(reader, description);
    }
    uint64_t next = padded(description_size);
    if (next > end - description) {
      return std::nullopt;
    }
    offset = description + next;
  }
  return std::nullopt;
}

std::optional<KernelVersion> read_segment(const Reader& reader, uint64_t header) {
  if (reader.number<uint32_t>(header) != PT_NOTE) {
    return std::nullopt;
  }
  bool wide = reader.is_64_bit();
  uint64_t offset = reader.word(header + (wide ? offsetof(Elf64_Phdr, p_offset) : offsetof(Elf32_Phdr, p_offset)));
  uint64_t size = reader.word(header + (wide ? offsetof(Elf64_Phdr, p_filesz) : offsetof(Elf32_Phdr, p_filesz)));
  uint64_t alignment = reader.word(header + (wide ? offsetof(Elf64_Phdr, p_align) : offsetof(Elf32_Phdr, p_align)));
  if (offset > reader.size() || size > reader.size() - offset) {
    return std::nullopt;
  }
  return read_notes(reader, offset, offset + size, alignment == 8 ? 8 : 4);
}

}  // namespace

std::optional<KernelVersion> minimum_kernel(std::string_view head) {
  if (head.size() < EI_NIDENT || !head.starts_with(std::string_view(ELFMAG, SELFMAG))) {
    return std::nullopt;
  }
  bool wide = head[EI_CLASS] == ELFCLASS64;
  bool swapped = (head[EI_DATA] == ELFDATA2LSB) != (std::endian::native == std::endian::little);
  Reader reader(head, wide, swapped);
  uint64_t table = reader.word(wide ? offsetof(Elf64_Ehdr, e_phoff) : offsetof(Elf32_Ehdr, e_phoff));
  uint64_t entry = reader.number<uint16_t>(wide ? offsetof(Elf64_Ehdr, e_phentsize) : offsetof(Elf32_Ehdr, e_phentsize));
  size_t count = reader.number<uint16_t>(wide ? offsetof(Elf64_Ehdr, e_phnum) : offsetof(Elf32_Ehdr, e_phnum));
  if (table > head.size() || entry < (wide ? sizeof(Elf64_Phdr) : sizeof(Elf32_Phdr))) {
    return std::nullopt;
  }
  for (size_t i = 0; i < std::min(count, kMaxSegments); ++i) {
    if (auto version = read_segment(reader, table + i * entry)) {
      return version;
    }
  }
  return std::nullopt;
}

}  // namespace bulkhead::compat
