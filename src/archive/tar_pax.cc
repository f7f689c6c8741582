#include "archive/tar_pax.h"

#include <fmt/format.h>

#include <limits>

#include "support/error.h"

namespace bulkhead::archive {
namespace {

// The kernel's own bounds: XATTR_NAME_MAX, XATTR_SIZE_MAX (linux/limits.h).
constexpr size_t kMaxXattrName = 255;
constexpr size_t kMaxXattrValue = 65536;
constexpr std::string_view kXattrPrefix = "SCHILY.xattr.";
constexpr std::string_view kSparsePrefix = "GNU.sparse.";

int64_t base256(std::string_view field) {
  bool negative = (static_cast<unsigned char>(field[0]) & 0x40U) != 0;
  // Two's complement, big endian, the first bit a marker.
  uint64_t value = negative ? ~uint64_t{0} : 0;
  for (size_t i = 0; i < field.size(); ++i) {
    auto byte = static_cast<unsigned char>(field[i]);
    if (i == 0) {
      byte = static_cast<unsigned char>(negative ? byte | 0x80U : byte & 0x7fU);
    }
    uint64_t top = value >> 55U;
    if (top != (negative ? 0x1ffU : 0U)) {
      malformed_tar("a number is too large");
    }
    value = (value << 8U) | byte;
  }
  return static_cast<int64_t>(value);
}

std::string without_nul(std::string_view value, std::string_view what) {
  if (value.find('\0') != std::string_view::npos) {
    malformed_tar(fmt::format("{} holds a NUL byte", what));
  }
  return std::string(value);
}

void add_xattr(std::string_view name, std::string_view value, PaxRecords& records) {
  if (name.empty() || name.size() > kMaxXattrName || value.size() > kMaxXattrValue) {
    malformed_tar("an extended attribute is larger than a kernel takes");
  }
  records.xattr_names += name.size() + 1;
  if (records.xattr_names > kMaxXattrNames) {
    malformed_tar("an entry has more extended attributes than a kernel lists");
  }
  records.xattrs.emplace_back(without_nul(name, "an extended attribute's name"), std::string(value));
}

void add_segment(uint64_t offset, uint64_t size, PaxRecords& records) {
  if (records.sparse_map.size() >= kMaxSegments) {
    malformed_tar("a sparse map is too long");
  }
  records.sparse_map.emplace_back(offset, size);
}

/// "offset,size,offset,size,..."
void parse_sparse_map(std::string_view text, PaxRecords& records) {
  records.sparse_map.clear();
  while (!text.empty()) {
    size_t first = text.find(',');
    size_t second = first == std::string_view::npos ? first : text.find(',', first + 1);
    if (first == std::string_view::npos) {
      malformed_tar("a sparse map has an odd number of values");
    }
    std::string_view size = text.substr(first + 1, second == std::string_view::npos ? second : second - first - 1);
    add_segment(parse_decimal(text.substr(0, first), "a sparse map's offset"), parse_decimal(size, "a sparse map's size"),
                records);
    text.remove_prefix(second == std::string_view::npos ? text.size() : second + 1);
  }
}

void add_sparse(std::string_view key, std::string_view value, PaxRecords& records) {
  records.sparse = true;
  if (key == "name") {
    records.sparse_name = without_nul(value, "a name");
  } else if (key == "size" || key == "realsize") {
    records.sparse_real_size = parse_decimal(value, "a sparse file's size");
  } else if (key == "major") {
    records.sparse_map_in_data = value == "1";
  } else if (key == "map") {
    parse_sparse_map(value, records);
  } else if (key == "offset") {
    add_segment(parse_decimal(value, "a sparse map's offset"), 0, records);
  } else if (key == "numbytes") {
    if (records.sparse_map.empty()) {
      malformed_tar("a sparse map's size comes before its offset");
    }
    records.sparse_map.back().second = parse_decimal(value, "a sparse map's size");
  }
}

void add_record(std::string_view key, std::string_view value, PaxRecords& records) {
  if (key == "path") {
    records.path = without_nul(value, "a name");
  } else if (key == "linkpath") {
    records.link = without_nul(value, "a link");
  } else if (key == "size") {
    records.size = parse_decimal(value, "size");
  } else if (key == "uid") {
    records.uid = parse_decimal(value, "uid");
  } else if (key == "gid") {
    records.gid = parse_decimal(value, "gid");
  } else if (key == "mtime") {
    records.mtime = parse_pax_time(value);
  } else if (key.starts_with(kXattrPrefix)) {
    add_xattr(key.substr(kXattrPrefix.size()), value, records);
  } else if (key.starts_with(kSparsePrefix)) {
    add_sparse(key.substr(kSparsePrefix.size()), value, records);
  }
}

}  // namespace

void malformed_tar(std::string_view reason) {
  throw Error(ErrorCode::kDataLoss, fmt::format("archive is malformed: {}", reason));
}

int64_t tar_number(std::string_view field) {
  if ((static_cast<unsigned char>(field[0]) & 0x80U) != 0) {
    return base256(field);
  }
  size_t i = 0;
  while (i < field.size() && field[i] == ' ') {
    ++i;
  }
  int64_t value = 0;
  for (; i < field.size() && field[i] != ' ' && field[i] != '\0'; ++i) {
    if (field[i] < '0' || field[i] > '7') {
      malformed_tar("a numeric field is not a number");
    }
    value = value * 8 + (field[i] - '0');  // at most 12 digits: no overflow
  }
  return value;
}

uint64_t tar_unsigned(std::string_view field, std::string_view what) {
  int64_t value = tar_number(field);
  if (value < 0) {
    malformed_tar(fmt::format("{} is negative", what));
  }
  return static_cast<uint64_t>(value);
}

std::string_view tar_text(std::string_view field) { return field.substr(0, field.find('\0')); }

uint64_t parse_decimal(std::string_view text, std::string_view what) {
  uint64_t value = 0;
  if (text.empty()) {
    malformed_tar(fmt::format("{} is empty", what));
  }
  for (char c : text) {
    constexpr uint64_t kMax = std::numeric_limits<int64_t>::max();
    if (c < '0' || c > '9' || value > (kMax - 9) / 10) {
      malformed_tar(fmt::format("{} is not a number", what));
    }
    value = value * 10 + static_cast<uint64_t>(c - '0');
  }
  return value;
}

timespec parse_pax_time(std::string_view text) {
  bool negative = text.starts_with('-');
  text.remove_prefix(negative ? 1 : 0);
  size_t dot = text.find('.');
  timespec time{};
  time.tv_sec = static_cast<time_t>(parse_decimal(text.substr(0, dot), "mtime"));
  int64_t unit = 100'000'000;
  for (char c : dot == std::string_view::npos ? std::string_view() : text.substr(dot + 1)) {
    if (c < '0' || c > '9') {
      malformed_tar("mtime is not a number");
    }
    time.tv_nsec += (c - '0') * unit;
    unit /= 10;
  }
  if (negative) {
    time.tv_sec = -time.tv_sec;
    if (time.tv_nsec > 0) {
      time.tv_sec -= 1;
      time.tv_nsec = 1'000'000'000 - time.tv_nsec;
    }
  }
  return time;
}

void parse_pax(std::string_view bytes, PaxRecords& records) {
  while (!bytes.empty()) {
    size_t space = bytes.find(' ');
    if (space > 10) {  // or there is none
      malformed_tar("a pax record has no length");
    }
    uint64_t length = parse_decimal(bytes.substr(0, space), "a pax record's length");
    if (length <= space + 2 || length > bytes.size() || bytes[length - 1] != '\n') {
      malformed_tar("a pax record has a wrong length");
    }
    std::string_view record = bytes.substr(space + 1, length - space - 2);
    size_t equals = record.find('=');
    if (equals == std::string_view::npos || equals == 0) {
      malformed_tar("a pax record has no key");
    }
    add_record(record.substr(0, equals), record.substr(equals + 1), records);
    bytes.remove_prefix(length);
  }
}

}  // namespace bulkhead::archive
