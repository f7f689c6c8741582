#include "shim/json_log.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/error.h"
#include "support/files.h"
#include "support/log.h"

namespace bulkhead::shim {
namespace {

/// Length of the valid UTF-8 sequence at the front (RFC 3629: no surrogates, no overlong forms), or 0.
size_t utf8_length(std::string_view bytes) {
  auto at = [&](size_t i) { return i < bytes.size() ? static_cast<unsigned char>(bytes[i]) : 0U; };
  auto follows = [&](size_t i) { return (at(i) & 0xc0U) == 0x80U; };
  unsigned first = at(0);
  if (first < 0x80) {
    return 1;
  }
  if (first >= 0xc2 && first <= 0xdf) {
    return follows(1) ? 2 : 0;
  }
  if (first >= 0xe0 && first <= 0xef) {
    bool second = follows(1) && !(first == 0xe0 && at(1) < 0xa0) && !(first == 0xed && at(1) > 0x9f);
    return second && follows(2) ? 3 : 0;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    bool second = follows(1) && !(first == 0xf0 && at(1) < 0x90) && !(first == 0xf4 && at(1) > 0x8f);
    return second && follows(2) && follows(3) ? 4 : 0;
  }
  return 0;
}

void append_escape(std::string& out, unsigned char byte) {
  switch (byte) {
    case '"': out += "\\\""; return;
    case '\\': out += "\\\\"; return;
    case '\n': out += "\\n"; return;
    case '\r': out += "\\r"; return;
    default: break;
  }
  constexpr std::string_view kDigits = "0123456789abcdef";
  const char escape[] = {'\\', 'u', '0', '0', kDigits[byte >> 4], kDigits[byte & 15]};
  out.append(escape, sizeof(escape));
}

/// Bytes that stand for themselves. '<', '>' and '&' are escaped by Go's encoder so that JSON may stand inside HTML.
constexpr std::array<bool, 256> kPlain = [] {
  std::array<bool, 256> plain{};
  for (size_t byte = 0x20; byte < 0x80; ++byte) {
    plain[byte] = byte != '"' && byte != '\\' && byte != '<' && byte != '>' && byte != '&';
  }
  return plain;
}();

size_t index_of(StreamKind stream) { return stream == StreamKind::kOut ? 0 : 1; }

}  // namespace

void append_json_text(std::string& out, std::string_view bytes) {
  size_t i = 0;
  while (i < bytes.size()) {
    size_t start = i;
    while (i < bytes.size() && kPlain[static_cast<unsigned char>(bytes[i])]) {
      ++i;
    }
    out.append(bytes, start, i - start);
    if (i == bytes.size()) {
      return;
    }
    auto byte = static_cast<unsigned char>(bytes[i]);
    if (byte < 0x80) {
      append_escape(out, byte);
      ++i;
      continue;
    }
    size_t length = utf8_length(bytes.substr(i));
    if (length == 0) {
      out += "\\ufffd";
      ++i;
      continue;
    }
    std::string_view character = bytes.substr(i, length);
    if (character == "\u2028" || character == "\u2029") {  // line separators end a line in JavaScript
      out += character == "\u2028" ? "\\u2028" : "\\u2029";
    } else {
      out += character;
    }
    i += length;
  }
}

std::string rfc3339_nano(TimePoint time) {
  std::string text = rfc3339(time);
  text.pop_back();
  text.erase(text.find_last_not_of('0') + 1);
  if (text.back() == '.') {
    text.pop_back();
  }
  return text + "Z";
}

JsonLog::JsonLog(std::filesystem::path path, Rotation rotation) : path_(std::move(path)), rotation_(rotation) {
  // SECURITY: O_NOFOLLOW: the log's folder is the engine's own, a link there is no log.
  file_ = open_file(path_, O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW, 0640);
  struct stat status {};
  if (::fstat(file_.get(), &status) != 0 || !S_ISREG(status.st_mode)) {
    throw Error(ErrorCode::kInvalidArgument, fmt::format("log '{}' is no regular file", path_.native()));
  }
  size_ = static_cast<uint64_t>(status.st_size);
}

void JsonLog::write(StreamKind stream, std::string_view bytes, TimePoint time) {
  time_ = rfc3339_nano(time);
  std::string& unfinished = unfinished_[index_of(stream)];
  while (!bytes.empty()) {
    size_t newline = bytes.find('\n');
    size_t room = kMaxLine - unfinished.size();
    size_t taken = std::min(newline == std::string_view::npos ? bytes.size() : newline, room);
    std::string_view piece = bytes.substr(0, taken);
    std::string_view line = piece;
    if (!unfinished.empty()) {
      unfinished.append(piece);
      line = unfinished;
    }
    if (line.size() == kMaxLine) {
      add_entry(stream, line, End::kPartial);
    } else if (newline == taken) {
      add_entry(stream, line, End::kNewline);
      ++taken;
    } else {
      if (unfinished.empty()) {
        unfinished.assign(piece);
      }
      break;
    }
    unfinished.clear();
    bytes.remove_prefix(taken);
  }
  flush();
}

void JsonLog::finish(StreamKind stream, TimePoint time) {
  std::string& unfinished = unfinished_[index_of(stream)];
  if (!unfinished.empty()) {
    time_ = rfc3339_nano(time);
    add_entry(stream, unfinished, End::kPartial);
    unfinished = {};
    flush();
  }
}

void JsonLog::add_entry(StreamKind stream, std::string_view line, End end) {
  if (rotation_.max_size > 0 && size_ + batch_.size() >= rotation_.max_size) {
    flush();
    if (size_ >= rotation_.max_size) {
      rotate();
    }
  }
  batch_ += "{\"log\":\"";
  append_json_text(batch_, line);
  if (end == End::kNewline) {
    batch_ += "\\n";
  }
  batch_ += stream == StreamKind::kOut ? "\",\"stream\":\"stdout\",\"time\":\"" : "\",\"stream\":\"stderr\",\"time\":\"";
  batch_ += time_;
  batch_ += "\"}\n";
}

void JsonLog::flush() {
  if (batch_.empty()) {
    return;
  }
  ssize_t count = 0;
  do {
    count = ::write(file_.get(), batch_.data(), batch_.size());
  } while (count < 0 && errno == EINTR);
  if (count == static_cast<ssize_t>(batch_.size())) {
    size_ += batch_.size();
  } else {
    int error_number = count < 0 ? errno : ENOSPC;
    // A reader must never find half an entry.
    if (count > 0 && ::ftruncate(file_.get(), static_cast<off_t>(size_)) != 0) {
      size_ += static_cast<uint64_t>(count);
    }
    warn_once(system_error(fmt::format("log '{}' loses lines", path_.native()), error_number).message());
  }
  batch_.clear();
  if (batch_.capacity() > (256UL << 10)) {
    batch_.shrink_to_fit();
  }
}

void JsonLog::rotate() {
  if (rotation_.max_file < 2) {
    if (::ftruncate(file_.get(), 0) != 0) {
      warn_once(system_error(fmt::format("empty log '{}'", path_.native())).message());
      return;
    }
    size_ = 0;
    return;
  }
  auto numbered = [&](unsigned number) { return fmt::format("{}.{}", path_.native(), number); };
  for (unsigned number = rotation_.max_file - 1; number > 1; --number) {
    if (::rename(numbered(number - 1).c_str(), numbered(number).c_str()) != 0 && errno != ENOENT) {
      warn_once(system_error(fmt::format("rotate log '{}'", path_.native())).message());
    }
  }
  UniqueFd fresh;
  if (::rename(path_.c_str(), numbered(1).c_str()) == 0) {
    fresh.reset(::open(path_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0640));
  }
  if (!fresh) {
    warn_once(system_error(fmt::format("rotate log '{}'", path_.native())).message());
    return;  // goes on in the file that is open
  }
  file_ = std::move(fresh);
  size_ = 0;
}

void JsonLog::warn_once(std::string_view what) {
  if (!warned_) {
    warned_ = true;
    log::warn("{}", what);
  }
}

}  // namespace bulkhead::shim
