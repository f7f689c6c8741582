// Docker's json-file log, as dockerd writes it: one JSON object a line, {"log":"...\n","stream":"stdout","time":"..."}; a line
// over 16 KiB in pieces of which only the last has its newline; bytes that aren't UTF-8 as U+FFFD; rotated to path.1, path.2.
//
// Each `write` costs one write(2) (more only where it crosses a rotation). A full disk costs lines, never the container: what
// can't be written is dropped whole, and said once on standard error. One thread.
#pragma once

#include <array>
#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

#include "support/time.h"
#include "support/unique_fd.h"

namespace bulkhead::shim {

enum class StreamKind : uint8_t { kOut = 1, kErr = 2 };  // numbers of Docker's attach frames

class JsonLog {
 public:
  static constexpr size_t kMaxLine = 16384;

  struct Rotation {
    uint64_t max_size = 0;  // bytes; 0: never
    unsigned max_file = 1;
  };

  /// Opens for appending; made with mode 0640.
  JsonLog(std::filesystem::path path, Rotation rotation);

  /// Takes what a stream said; an unfinished last line waits for its rest.
  void write(StreamKind stream, std::string_view bytes, TimePoint time);
  /// The stream has ended: writes its unfinished line.
  void finish(StreamKind stream, TimePoint time);

 private:
  enum class End { kNewline, kPartial };
  void add_entry(StreamKind stream, std::string_view line, End end);
  void flush();
  void rotate();
  void warn_once(std::string_view what);

  std::filesystem::path path_;
  Rotation rotation_;
  UniqueFd file_;
  uint64_t size_ = 0;
  std::string batch_;  // whole entries, not written yet
  std::string time_;   // of the entries being added
  std::array<std::string, 2> unfinished_;
  bool warned_ = false;
};

/// Appends `bytes` as the inside of a JSON string, by the rules of Go's encoder as Docker's log uses it.
void append_json_text(std::string& out, std::string_view bytes);
/// Go's RFC3339Nano: as rfc3339, without trailing zeros of the fraction.
std::string rfc3339_nano(TimePoint time);

}  // namespace bulkhead::shim
