#include "archive/tar_reader.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <limits>

#include "archive/tar_pax.h"
#include "support/error.h"

namespace bulkhead::archive {
namespace {

constexpr size_t kBlock = 512;
// SECURITY: bounds on what an archive makes us hold in memory.
constexpr uint64_t kMaxSpecial = 1UL << 20;   // one extended header, or long name
constexpr uint64_t kMaxSpecials = 2UL << 20;  // all in front of one entry
constexpr size_t kMaxSpecialHeaders = 16;     // honest archivers write one of each kind
constexpr size_t kMaxName = 4096;             // PATH_MAX

uint64_t padding_of(uint64_t size) { return (kBlock - size % kBlock) % kBlock; }

std::string_view field(const std::array<char, kBlock>& header, size_t offset, size_t size) {
  return {header.data() + offset, size};
}

bool is_zero(const std::array<char, kBlock>& header) {
  return std::all_of(header.begin(), header.end(), [](char c) { return c == 0; });
}

void check_checksum(const std::array<char, kBlock>& header) {
  int64_t as_unsigned = 0;
  int64_t as_signed = 0;  // some old archivers summed signed characters
  for (size_t i = 0; i < kBlock; ++i) {
    char c = i >= 148 && i < 156 ? ' ' : header.at(i);
    as_unsigned += static_cast<unsigned char>(c);
    as_signed += static_cast<signed char>(c);
  }
  int64_t stored = tar_number(field(header, 148, 8));
  if (stored != as_unsigned && stored != as_signed) {
    malformed_tar("wrong header checksum");
  }
}

uint32_t to_owner(uint64_t value, const char* what) {
  // (uint32_t)-1 means "don't change" to chown(2).
  if (value >= std::numeric_limits<uint32_t>::max()) {
    malformed_tar(fmt::format("{} {} is out of range", what, value));
  }
  return static_cast<uint32_t>(value);
}

TarEntry::Type type_of(char flag, std::string_view name) {
  switch (flag) {
    case '\0':
    case '0':
    case '7':
    case 'S': return name.ends_with('/') ? TarEntry::Type::kFolder : TarEntry::Type::kFile;
    case '1': return TarEntry::Type::kHardLink;
    case '2': return TarEntry::Type::kSymlink;
    case '3': return TarEntry::Type::kCharacterDevice;
    case '4': return TarEntry::Type::kBlockDevice;
    case '5': return TarEntry::Type::kFolder;
    case '6': return TarEntry::Type::kFifo;
    default: break;
  }
  throw Error(ErrorCode::kNotSupported,
              fmt::format("archive entry of unknown type {}", static_cast<int>(static_cast<unsigned char>(flag))));
}

}  // namespace

struct TarReader::Pending {
  PaxRecords pax;
  std::string long_name, long_link;
  size_t headers = 0;  // so far
  uint64_t bytes = 0;  // in them
};

bool TarReader::fill() {
  if (buffer_.empty() && !source_ended_) {
    buffer_ = source_.next();
    source_ended_ = buffer_.empty();
  }
  return !buffer_.empty();
}

bool TarReader::read_block(Header& header) {
  size_t have = 0;
  while (have < kBlock) {
    if (!fill()) {
      if (have == 0) {
        return false;
      }
      malformed_tar("unexpected end");
    }
    size_t count = std::min(buffer_.size(), kBlock - have);
    std::memcpy(header.data() + have, buffer_.data(), count);
    buffer_.remove_prefix(count);
    have += count;
  }
  return true;
}

void TarReader::skip(uint64_t count) {
  while (count > 0) {
    if (!fill()) {
      malformed_tar("unexpected end");
    }
    size_t step = static_cast<size_t>(std::min<uint64_t>(buffer_.size(), count));
    buffer_.remove_prefix(step);
    count -= step;
  }
}

std::string TarReader::read_special(uint64_t size, std::string_view what) {
  if (size > kMaxSpecial) {
    malformed_tar(fmt::format("{} of {} bytes is too large", what, size));
  }
  std::string bytes;
  bytes.reserve(size);
  while (bytes.size() < size) {
    if (!fill()) {
      malformed_tar("unexpected end");
    }
    size_t count = static_cast<size_t>(std::min<uint64_t>(buffer_.size(), size - bytes.size()));
    bytes += buffer_.substr(0, count);
    buffer_.remove_prefix(count);
  }
  skip(padding_of(size));
  return bytes;
}

/// False at the end of the archive: two zero blocks, or (as Docker's own writer may) simply no more bytes.
bool TarReader::read_header(Header& header) {
  if (!read_block(header)) {
    return false;
  }
  if (is_zero(header)) {
    return false;
  }
  check_checksum(header);
  return true;
}

/// True where the header only says something of the entry that follows.
bool TarReader::extended(char type, const Header& header, Pending& pending) {
  if (std::string_view("xgLKV").find(type) == std::string_view::npos) {
    return false;
  }
  uint64_t size = tar_unsigned(field(header, 124, 12), "size");
  pending.bytes += std::min(size, kMaxSpecials + 1);
  if (++pending.headers > kMaxSpecialHeaders || pending.bytes > kMaxSpecials) {
    malformed_tar(
        fmt::format("an entry has more than {} extended headers, or {} bytes of them", kMaxSpecialHeaders, kMaxSpecials));
  }
  switch (type) {
    case 'x': parse_pax(read_special(size, "a pax header"), pending.pax); return true;
    case 'L': pending.long_name = tar_text(read_special(size, "a long name")); return true;
    case 'K': pending.long_link = tar_text(read_special(size, "a long link")); return true;
    default: read_special(size, "a global header"); return true;  // comments of git-archive, volume labels
  }
}

bool TarReader::next(TarEntry& entry) {
  skip(stored_left_);
  skip(padding_);
  stored_left_ = padding_ = 0;
  Header header{};
  Pending pending;
  for (;;) {
    if (!read_header(header)) {
      if (pending.headers > 0) {
        malformed_tar("unexpected end");
      }
      return false;
    }
    if (!extended(header[156], header, pending)) {
      break;
    }
  }
  entry = TarEntry{};
  finish_entry(header, pending, entry);
  return true;
}

void TarReader::finish_entry(const Header& header, Pending& pending, TarEntry& entry) {
  PaxRecords& pax = pending.pax;
  std::string_view magic = field(header, 257, 6);
  entry.name = tar_text(field(header, 0, 100));
  if (magic == std::string_view("ustar\0", 6) && header[345] != 0) {
    entry.name = std::string(tar_text(field(header, 345, 155))) + "/" + entry.name;
  }
  entry.name = !pending.long_name.empty() ? pending.long_name : entry.name;
  entry.name = pax.sparse_name ? *pax.sparse_name : pax.path ? *pax.path : entry.name;
  entry.link = !pending.long_link.empty() ? pending.long_link : std::string(tar_text(field(header, 157, 100)));
  entry.link = pax.link ? *pax.link : entry.link;
  if (entry.name.empty() || entry.name.size() > kMaxName || entry.link.size() > kMaxName) {
    malformed_tar("a name is empty, or longer than a path can be");
  }
  char flag = header[156];
  entry.type = type_of(flag, entry.name);
  entry.mode = static_cast<uint32_t>(tar_number(field(header, 100, 8)) & 07777);
  entry.uid = to_owner(pax.uid ? *pax.uid : tar_unsigned(field(header, 108, 8), "uid"), "uid");
  entry.gid = to_owner(pax.gid ? *pax.gid : tar_unsigned(field(header, 116, 8), "gid"), "gid");
  entry.mtime = pax.mtime ? *pax.mtime : timespec{.tv_sec = tar_number(field(header, 136, 12)), .tv_nsec = 0};
  if (entry.type == TarEntry::Type::kCharacterDevice || entry.type == TarEntry::Type::kBlockDevice) {
    entry.device_major = static_cast<uint32_t>(tar_unsigned(field(header, 329, 8), "a device number"));
    entry.device_minor = static_cast<uint32_t>(tar_unsigned(field(header, 337, 8), "a device number"));
  }
  entry.xattrs = std::move(pax.xattrs);

  // Only files have content: some archivers leave a size in the header of a link, with no bytes behind it.
  uint64_t stored = pax.size ? *pax.size : tar_unsigned(field(header, 124, 12), "size");
  stored_left_ = entry.type == TarEntry::Type::kFile ? stored : 0;
  padding_ = padding_of(stored_left_);
  entry.size = stored_left_;
  offset_ = segment_done_ = segment_ = 0;
  segments_.clear();
  sparse_ = entry.sparse = entry.type == TarEntry::Type::kFile && (flag == 'S' || pax.sparse);
  if (!sparse_) {
    return;
  }
  if (flag == 'S') {
    read_gnu_sparse(header, entry);
  } else {
    entry.size = pax.sparse_real_size ? *pax.sparse_real_size : stored;
    if (pax.sparse_map_in_data) {
      read_sparse_map(entry);
    } else {
      for (auto [offset, size] : pax.sparse_map) {
        segments_.push_back({offset, size});
      }
    }
  }
  check_segments(entry);
}

/// The old GNU format: four segments in the header, more in blocks behind it.
void TarReader::read_gnu_sparse(const Header& header, TarEntry& entry) {
  auto add = [&](std::string_view pair) {
    if (pair[0] != 0) {
      segments_.push_back({tar_unsigned(pair.substr(0, 12), "a sparse map's offset"),
                           tar_unsigned(pair.substr(12, 12), "a sparse map's size")});
    }
  };
  for (size_t i = 0; i < 4; ++i) {
    add(field(header, 386 + i * 24, 24));
  }
  entry.size = tar_unsigned(field(header, 483, 12), "a sparse file's size");
  for (bool more = header[482] != 0; more;) {
    Header block{};
    if (!read_block(block) || segments_.size() > kMaxSegments) {
      malformed_tar("a sparse map does not end");
    }
    for (size_t i = 0; i < 21; ++i) {
      add(field(block, i * 24, 24));
    }
    more = block[504] != 0;
  }
}

/// pax 1.0: the map stands in front of the data, as decimal numbers each on a line, padded to a block.
void TarReader::read_sparse_map(TarEntry& entry) {
  std::string number;
  std::vector<uint64_t> numbers;
  uint64_t wanted = 1;
  while (numbers.size() < wanted) {
    Header block{};
    if (stored_left_ < kBlock || !read_block(block)) {
      malformed_tar(fmt::format("sparse map of '{}' does not end", entry.name.substr(0, 64)));
    }
    stored_left_ -= kBlock;
    for (size_t i = 0; i < kBlock && numbers.size() < wanted; ++i) {
      if (block.at(i) != '\n') {
        number += block.at(i);
        continue;
      }
      numbers.push_back(parse_decimal(number, "a sparse map's number"));
      number.clear();
      if (numbers.size() == 1) {
        if (numbers[0] > kMaxSegments) {
          malformed_tar("a sparse map is too long");
        }
        wanted = 1 + 2 * numbers[0];
      }
    }
    if (number.size() > 20) {
      malformed_tar("a sparse map's number is too long");
    }
  }
  for (size_t i = 1; i + 1 < numbers.size(); i += 2) {
    segments_.push_back({numbers[i], numbers[i + 1]});
  }
}

void TarReader::check_segments(const TarEntry& entry) {
  uint64_t end = 0;
  uint64_t sum = 0;
  for (const Segment& segment : segments_) {
    if (segment.offset < end || segment.offset > entry.size || segment.size > entry.size - segment.offset) {
      malformed_tar("segments of a sparse file overlap, or lie outside of it");
    }
    end = segment.offset + segment.size;
    sum += segment.size;
  }
  if (sum != stored_left_) {
    malformed_tar("segments of a sparse file don't add up to its stored size");
  }
}

bool TarReader::read(Piece& piece) {
  if (stored_left_ == 0) {
    return false;
  }
  if (!fill()) {
    malformed_tar("unexpected end");
  }
  uint64_t room = stored_left_;
  if (sparse_) {
    while (segment_done_ == segments_[segment_].size) {
      ++segment_;
      segment_done_ = 0;
    }
    offset_ = segments_[segment_].offset + segment_done_;
    room = segments_[segment_].size - segment_done_;
  }
  size_t count = static_cast<size_t>(std::min<uint64_t>(buffer_.size(), room));
  piece = {.offset = offset_, .bytes = buffer_.substr(0, count)};
  buffer_.remove_prefix(count);
  stored_left_ -= count;
  offset_ += count;
  segment_done_ += count;
  return true;
}

std::string TarReader::read_all(size_t limit, std::string_view what) {
  if (sparse_ || stored_left_ > limit) {
    throw Error(ErrorCode::kDataLoss, fmt::format("{} is larger than the limit of {} bytes", what, limit));
  }
  std::string bytes;
  for (Piece piece; read(piece);) {
    bytes += piece.bytes;
  }
  return bytes;
}

void TarReader::drain() {
  buffer_ = {};
  while (!source_ended_) {
    source_ended_ = source_.next().empty();
  }
}

}  // namespace bulkhead::archive
