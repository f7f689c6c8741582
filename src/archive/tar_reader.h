// A tar archive as a stream of entries: ustar, GNU (long names, sparse, base-256 numbers) and pax (all keys that matter for a
// file system, sparse 0.0, 0.1, 1.0). Names are bytes: no character set is assumed. Pure parsing of hostile input: no system
// calls. One thread.
#pragma once

#include <array>
#include <cstdint>
#include <ctime>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "archive/chunk_source.h"

namespace bulkhead::archive {

struct TarEntry {
  enum class Type { kFile, kHardLink, kSymlink, kCharacterDevice, kBlockDevice, kFolder, kFifo };
  Type type = Type::kFile;
  std::string name, link;  // as in the archive: may hold "..", begin with "/", or worse; no NUL
  uint32_t mode = 0;       // permission bits, 07777
  uint32_t uid = 0, gid = 0;
  uint64_t size = 0;  // of the file once unpacked, holes included
  timespec mtime{};
  uint32_t device_major = 0, device_minor = 0;
  bool sparse = false;
  std::vector<std::pair<std::string, std::string>> xattrs;  // name (without NUL), value
};

class TarReader {
 public:
  /// `source` must outlive the reader.
  explicit TarReader(ChunkSource& source) : source_(source) {}

  /// Skips what is left of the current entry and reads the next header; false at the end of the archive.
  /// Throws kDataLoss (malformed, truncated) or kNotSupported.
  bool next(TarEntry& entry);

  struct Piece {
    uint64_t offset = 0;
    std::string_view bytes;  // valid until the next call
  };
  /// The next bytes of the current file, in ascending order, holes left out; false at its end.
  bool read(Piece& piece);
  /// The rest of the current file, at most `limit` bytes. Throws kDataLoss naming `what` where there is more.
  std::string read_all(size_t limit, std::string_view what);

  /// Reads the source to its end (padding behind the archive).
  void drain();

 private:
  using Header = std::array<char, 512>;
  struct Pending;  // what extended headers say of the entry that follows
  struct Segment {
    uint64_t offset, size;
  };

  bool fill();
  bool read_block(Header& header);
  std::string read_special(uint64_t size, std::string_view what);
  void skip(uint64_t count);
  bool read_header(Header& header);
  bool extended(char type, const Header& header, Pending& pending);
  void finish_entry(const Header& header, Pending& pending, TarEntry& entry);
  void read_gnu_sparse(const Header& header, TarEntry& entry);
  void read_sparse_map(TarEntry& entry);
  void check_segments(const TarEntry& entry);

  ChunkSource& source_;
  std::string_view buffer_;
  bool source_ended_ = false;
  uint64_t stored_left_ = 0;  // bytes of the current entry not yet read
  uint64_t padding_ = 0;      // behind them
  uint64_t offset_ = 0;       // of the next piece
  std::vector<Segment> segments_;
  size_t segment_ = 0;
  uint64_t segment_done_ = 0;
  bool sparse_ = false;
};

}  // namespace bulkhead::archive
