// Reads a container's json-file log: the last lines of it without reading the rest, and what is added while it is read, across
// rotations (path, path.1, path.2, ... newest first). One thread; never waits: `descriptor` tells when there may be more.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "engine/log_line.h"
#include "support/unique_fd.h"

namespace bulkhead::engine {

struct LogSelection {
  bool out = true, err = true;
  std::optional<uint64_t> tail;  // lines, of both streams together, as docker counts them
  std::optional<TimePoint> since, until;
};

class LogReader {
 public:
  enum class Follow { kNo, kYes };
  /// Without `follow`, what was written until now is all there is. A log that isn't there yet is empty.
  LogReader(std::filesystem::path path, const LogSelection& selection, Follow follow);

  /// The next entry that was selected; nullopt where there is none yet.
  std::optional<LogEntry> next();
  /// An entry after `until` was met: nothing will come any more.
  bool is_past_end() const { return past_end_; }
  /// Polls readable when the log may have grown; -1 where the kernel has no watch to give: then ask again from time to time.
  int descriptor() const { return watch_.get(); }
  /// Empties `descriptor`.
  void acknowledge();

 private:
  struct File {
    UniqueFd descriptor;
    ino_t inode = 0;
  };
  std::optional<File> open_numbered(unsigned number) const;
  std::vector<File> open_newer_than(std::optional<ino_t> inode) const;
  void seek_tail(uint64_t lines);
  std::optional<std::string_view> next_line();
  bool fill();
  bool go_on_to_newer();
  bool is_selected(const LogEntry& entry);

  std::filesystem::path path_;
  LogSelection selection_;
  Follow follow_;
  UniqueFd watch_;
  std::vector<File> files_;  // oldest first
  size_t current_ = 0;
  off_t offset_ = 0;            // in the current file, behind what is in buffer_
  std::optional<off_t> limit_;  // of the newest file, where nothing is followed
  std::string buffer_;
  size_t used_ = 0;
  bool skipping_ = false;  // within a line that is too long to be one
  bool past_end_ = false;
};

}  // namespace bulkhead::engine
