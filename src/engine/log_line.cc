#include "engine/log_line.h"

#include <map>

namespace bulkhead::engine {
namespace {

/// Reads the little JSON that a log line is: an object of strings, one of which may be an object of strings. Bytes that aren't
/// UTF-8 pass: they are the container's affair.
class LineParser {
 public:
  explicit LineParser(std::string_view text) : rest_(text) {}

  std::optional<LogEntry> entry() {
    LogEntry entry;
    std::string time;
    bool has_text = false;
    bool valid = object([&](const std::string& key) {
      if (key == "attrs") {
        return attributes(entry.attributes);
      }
      std::string value;
      if (!string(value)) {
        return false;
      }
      if (key == "log") {
        entry.text = std::move(value);
        has_text = true;
      } else if (key == "stream") {
        entry.stream = value == "stderr" ? LogStream::kErr : LogStream::kOut;
      } else if (key == "time") {
        time = std::move(value);
      }
      return true;
    });
    std::optional<TimePoint> parsed = parse_rfc3339(time);
    skip_blanks();
    if (!valid || !has_text || !parsed || !rest_.empty()) {
      return std::nullopt;
    }
    entry.time = *parsed;
    return entry;
  }

 private:
  void skip_blanks() { rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t\r\n"), rest_.size())); }

  bool take(char letter) {
    skip_blanks();
    if (!rest_.starts_with(letter)) {
      return false;
    }
    rest_.remove_prefix(1);
    return true;
  }

  template <typename Member>
  bool object(const Member& member) {
    if (!take('{')) {
      return false;
    }
    if (take('}')) {
      return true;
    }
    do {
      std::string key;
      if (!string(key) || !take(':') || !member(key)) {
        return false;
      }
    } while (take(','));
    return take('}');
  }

  bool attributes(std::string& out) {
    std::map<std::string, std::string> values;
    bool valid = object([&](const std::string& key) { return string(values[key]); });
    for (const auto& [key, value] : values) {
      out.append(out.empty() ? "" : ",").append(key).append("=").append(value);
    }
    return valid;
  }

  bool string(std::string& out) {
    if (!take('"')) {
      return false;
    }
    for (;;) {
      size_t special = rest_.find_first_of("\"\\");
      if (special == std::string_view::npos) {
        return false;
      }
      out.append(rest_.substr(0, special));
      char letter = rest_[special];
      rest_.remove_prefix(special + 1);
      if (letter == '"') {
        return true;
      }
      if (!escape(out)) {
        return false;
      }
    }
  }

  bool escape(std::string& out) {
    if (rest_.empty()) {
      return false;
    }
    char letter = rest_.front();
    rest_.remove_prefix(1);
    switch (letter) {
      case 'n': out += '\n'; return true;
      case 't': out += '\t'; return true;
      case 'r': out += '\r'; return true;
      case 'b': out += '\b'; return true;
      case 'f': out += '\f'; return true;
      case '"':
      case '\\':
      case '/': out += letter; return true;
      case 'u': return code_point(out);
      default: return false;
    }
  }

  std::optional<unsigned> four_digits() {
    if (rest_.size() < 4) {
      return std::nullopt;
    }
    unsigned value = 0;
    for (char letter : rest_.substr(0, 4)) {
      bool is_digit = letter >= '0' && letter <= '9';
      char lower = static_cast<char>(letter | 0x20);
      if (!is_digit && (lower < 'a' || lower > 'f')) {
        return std::nullopt;
      }
      value = value * 16 + static_cast<unsigned>(is_digit ? letter - '0' : lower - 'a' + 10);
    }
    rest_.remove_prefix(4);
    return value;
  }

  bool code_point(std::string& out) {
    std::optional<unsigned> unit = four_digits();
    if (!unit) {
      return false;
    }
    unsigned point = *unit;
    if (point >= 0xD800 && point <= 0xDBFF && rest_.starts_with("\\u")) {
      std::string_view before = rest_;
      rest_.remove_prefix(2);
      std::optional<unsigned> low = four_digits();
      if (low && *low >= 0xDC00 && *low <= 0xDFFF) {
        point = 0x10000 + ((point - 0xD800) << 10) + (*low - 0xDC00);
      } else {
        rest_ = before;
      }
    }
    append_utf8(out, point >= 0xD800 && point <= 0xDFFF ? 0xFFFD : point);
    return true;
  }

  static void append_utf8(std::string& out, unsigned point) {
    auto add = [&](unsigned byte) { out += static_cast<char>(byte); };
    if (point < 0x80) {
      add(point);
      return;
    }
    if (point < 0x800) {
      add(0xC0 | point >> 6);
    } else if (point < 0x10000) {
      add(0xE0 | point >> 12);
      add(0x80 | (point >> 6 & 0x3F));
    } else {
      add(0xF0 | point >> 18);
      add(0x80 | (point >> 12 & 0x3F));
      add(0x80 | (point >> 6 & 0x3F));
    }
    add(0x80 | (point & 0x3F));
  }

  std::string_view rest_;
};

}  // namespace

std::optional<LogEntry> parse_log_line(std::string_view line) {
  if (auto entry = LineParser(line).entry()) {
    return entry;
  }
  // Inside a string a quote is always escaped: this can only be the beginning of an entry.
  size_t next = line.rfind("{\"log\":\"");
  return next == std::string_view::npos || next == 0 ? std::nullopt : LineParser(line.substr(next)).entry();
}

}  // namespace bulkhead::engine
