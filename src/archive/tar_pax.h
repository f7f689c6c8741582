// The values of tar headers: numbers in octal, base-256 and decimal, and the records of pax extended headers
// (POSIX.1-2017 pax, "pax Header Block"). Pure parsing; throws kDataLoss.
#pragma once

#include <cstdint>
#include <ctime>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace bulkhead::archive {

[[noreturn]] void malformed_tar(std::string_view reason);

/// A fixed-width numeric field: octal digits, or GNU's base-256 (first bit set).
int64_t tar_number(std::string_view field);
/// The same, where a negative value is malformed.
uint64_t tar_unsigned(std::string_view field, std::string_view what);
/// Up to the first NUL.
std::string_view tar_text(std::string_view field);

uint64_t parse_decimal(std::string_view text, std::string_view what);
/// "1700000000.123456789", "-1.5".
timespec parse_pax_time(std::string_view text);

struct PaxRecords {
  std::optional<std::string> path, link;
  std::optional<uint64_t> size, uid, gid;
  std::optional<timespec> mtime;
  std::vector<std::pair<std::string, std::string>> xattrs;
  size_t xattr_names = 0;  // their bytes, each with its NUL
  // GNU.sparse.*
  std::optional<std::string> sparse_name;
  std::optional<uint64_t> sparse_real_size;
  bool sparse = false, sparse_map_in_data = false;
  std::vector<std::pair<uint64_t, uint64_t>> sparse_map;  // offset, size
};

// SECURITY: bounds on what extended headers make us hold in memory.
inline constexpr size_t kMaxSegments = 1'000'000;     // of one sparse file
inline constexpr size_t kMaxXattrNames = 64UL << 10;  // bytes of all their names: more can't be listed (XATTR_LIST_MAX)

/// Adds the records of one extended header to `records`; the bounds hold for all headers of an entry together.
void parse_pax(std::string_view bytes, PaxRecords& records);

}  // namespace bulkhead::archive
