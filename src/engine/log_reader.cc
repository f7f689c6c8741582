#include "engine/log_reader.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "support/error.h"

namespace bulkhead::engine {
namespace {

constexpr size_t kBlock = 64UL << 10;
constexpr size_t kMaximumLine = 1UL << 20;
constexpr unsigned kMaximumFiles = 1000;

size_t read_at(int file, char* buffer, size_t size, off_t offset) {
  for (;;) {
    ssize_t count = ::pread(file, buffer, size, offset);
    if (count >= 0) {
      return static_cast<size_t>(count);
    }
    if (errno != EINTR) {
      throw system_error("read a container's log");
    }
  }
}

off_t size_of(int file) {
  struct stat status {};
  if (::fstat(file, &status) != 0) {
    throw system_error("read a container's log");
  }
  return status.st_size;
}

/// Looks for the line break that has `lines` whole lines behind it, from the end. Returns the offset behind it and sets `lines`
/// to 0; where there are fewer, takes off those there are and returns 0.
off_t find_backwards(int file, off_t size, uint64_t& lines, bool& seen_break) {
  std::array<char, kBlock> block{};
  for (off_t end = size; end > 0;) {
    off_t begin = std::max<off_t>(0, end - static_cast<off_t>(block.size()));
    size_t count = read_at(file, block.data(), static_cast<size_t>(end - begin), begin);
    for (size_t i = count; i > 0; --i) {
      if (block[i - 1] != '\n') {
        continue;
      }
      if (seen_break && lines > 0) {
        --lines;
      }
      seen_break = true;
      if (lines == 0) {
        return begin + static_cast<off_t>(i);
      }
    }
    end = begin;
  }
  if (seen_break && lines > 0) {
    --lines;  // the file's first line has no break before it
  }
  seen_break = false;
  return 0;
}

}  // namespace

LogReader::LogReader(std::filesystem::path path, const LogSelection& selection, Follow follow)
    : path_(std::move(path)), selection_(selection), follow_(follow) {
  if (follow == Follow::kYes) {
    watch_.reset(::inotify_init1(IN_NONBLOCK | IN_CLOEXEC));
    if (watch_ && ::inotify_add_watch(watch_.get(), path_.parent_path().c_str(),
                                      IN_MODIFY | IN_CREATE | IN_MOVED_TO | IN_CLOSE_WRITE | IN_ONLYDIR) < 0) {
      watch_.reset();
    }
  }
  files_ = open_newer_than(std::nullopt);
  if (follow == Follow::kNo && !files_.empty()) {
    limit_ = size_of(files_.back().descriptor.get());
  }
  if (selection_.tail) {
    seek_tail(*selection_.tail);
  }
}

std::optional<LogReader::File> LogReader::open_numbered(unsigned number) const {
  std::string name = number == 0 ? path_.native() : fmt::format("{}.{}", path_.native(), number);
  UniqueFd descriptor(::open(name.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!descriptor) {
    if (errno == ENOENT) {
      return std::nullopt;
    }
    throw system_error(fmt::format("open log '{}'", name));
  }
  struct stat status {};
  if (::fstat(descriptor.get(), &status) != 0 || !S_ISREG(status.st_mode)) {
    throw Error(ErrorCode::kDataLoss, fmt::format("log '{}' is no regular file", name));
  }
  return File{std::move(descriptor), status.st_ino};
}

/// From the newest to the one before `inode` (or the oldest there is), in the order of writing. A rotation meanwhile moves
/// files to higher numbers, so that one may be met twice, but none is missed.
std::vector<LogReader::File> LogReader::open_newer_than(std::optional<ino_t> inode) const {
  std::vector<File> found;
  for (unsigned number = 0; number < kMaximumFiles; ++number) {
    std::optional<File> file = open_numbered(number);
    if (!file || (inode && file->inode == *inode)) {
      break;
    }
    if (found.empty() || found.back().inode != file->inode) {
      found.push_back(std::move(*file));
    }
  }
  std::reverse(found.begin(), found.end());
  return found;
}

void LogReader::seek_tail(uint64_t lines) {
  bool seen_break = false;
  for (size_t i = files_.size(); i > 0; --i) {
    int file = files_[i - 1].descriptor.get();
    off_t size = i == files_.size() && limit_ ? *limit_ : size_of(file);
    current_ = i - 1;
    offset_ = find_backwards(file, size, lines, seen_break);
    if (lines == 0) {
      return;
    }
  }
}

void LogReader::acknowledge() {
  alignas(inotify_event) std::array<char, 4096> events{};
  while (watch_ && ::read(watch_.get(), events.data(), events.size()) > 0) {
  }
}

std::optional<LogEntry> LogReader::next() {
  while (!past_end_) {
    std::optional<std::string_view> line = next_line();
    if (!line) {
      return std::nullopt;
    }
    std::optional<LogEntry> entry = parse_log_line(*line);
    if (entry && is_selected(*entry)) {
      return entry;
    }
  }
  return std::nullopt;
}

bool LogReader::is_selected(const LogEntry& entry) {
  if (selection_.until && entry.time > *selection_.until) {
    past_end_ = true;
    return false;
  }
  return (!selection_.since || entry.time >= *selection_.since) &&
         (entry.stream == LogStream::kOut ? selection_.out : selection_.err);
}

/// A whole line without its break; valid until the next call. What stands behind the last break is not finished yet.
std::optional<std::string_view> LogReader::next_line() {
  for (;;) {
    size_t line_break = buffer_.find('\n', used_);
    if (line_break != std::string::npos) {
      std::string_view line = std::string_view(buffer_).substr(used_, line_break - used_);
      used_ = line_break + 1;
      if (!std::exchange(skipping_, false)) {
        return line;
      }
      continue;
    }
    if (buffer_.size() - used_ > kMaximumLine) {
      used_ = buffer_.size();
      skipping_ = true;
    }
    if (!fill()) {
      return std::nullopt;
    }
  }
}

bool LogReader::fill() {
  if (files_.empty() && (follow_ == Follow::kNo || !go_on_to_newer())) {
    return false;
  }
  buffer_.erase(0, used_);
  used_ = 0;
  bool is_newest = current_ + 1 == files_.size();
  size_t wanted = kBlock;
  if (limit_ && is_newest) {
    wanted = static_cast<size_t>(std::clamp<off_t>(*limit_ - offset_, 0, static_cast<off_t>(kBlock)));
  }
  size_t held = buffer_.size();
  buffer_.resize(held + wanted);
  size_t count = wanted == 0 ? 0 : read_at(files_[current_].descriptor.get(), buffer_.data() + held, wanted, offset_);
  buffer_.resize(held + count);
  offset_ += static_cast<off_t>(count);
  return count > 0 || go_on_to_newer();
}

/// At the end of the current file: is there another, or was it emptied in place (a log of one file rotates so)?
bool LogReader::go_on_to_newer() {
  if (current_ + 1 >= files_.size()) {
    if (follow_ == Follow::kNo) {
      return false;
    }
    struct stat status {};
    bool is_same = !files_.empty() && ::stat(path_.c_str(), &status) == 0 && status.st_ino == files_[current_].inode;
    if (is_same && status.st_size >= offset_) {
      return false;
    }
    if (is_same) {
      offset_ = 0;
      buffer_.clear();
      return status.st_size > 0;
    }
    std::vector<File> newer = open_newer_than(files_.empty() ? std::nullopt : std::optional(files_[current_].inode));
    if (newer.empty()) {
      return false;
    }
    // What was written between the last read and the rename is still to be read.
    if (!files_.empty() && size_of(files_[current_].descriptor.get()) > offset_) {
      return true;
    }
    bool was_empty = files_.empty();
    files_.erase(files_.begin(), files_.begin() + static_cast<std::ptrdiff_t>(current_));
    std::move(newer.begin(), newer.end(), std::back_inserter(files_));
    current_ = 0;
    if (was_empty) {
      return true;
    }
  }
  ++current_;
  offset_ = 0;
  buffer_.clear();
  used_ = 0;
  return true;
}

}  // namespace bulkhead::engine
