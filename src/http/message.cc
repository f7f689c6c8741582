#include "http/message.h"

#include <algorithm>
#include <cctype>

namespace bulkhead::http {
namespace {

bool equal_without_case(std::string_view left, std::string_view right) {
  return left.size() == right.size() && std::equal(left.begin(), left.end(), right.begin(), [](char a, char b) {
           return std::tolower(static_cast<unsigned char>(a)) == std::tolower(static_cast<unsigned char>(b));
         });
}

std::string_view trimmed(std::string_view text) {
  size_t first = text.find_first_not_of(" \t");
  return first == std::string_view::npos ? "" : text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

int digit_value(char digit) {
  if (digit >= '0' && digit <= '9') {
    return digit - '0';
  }
  if (digit >= 'a' && digit <= 'f') {
    return digit - 'a' + 10;
  }
  return digit >= 'A' && digit <= 'F' ? digit - 'A' + 10 : -1;
}

bool is_unreserved(char letter) {
  return std::isalnum(static_cast<unsigned char>(letter)) != 0 || letter == '-' || letter == '.' || letter == '_' ||
         letter == '~';
}

void append_fields(std::string& out, const Headers& headers) {
  for (const auto& [name, value] : headers.fields()) {
    out.append(name).append(": ");
    size_t start = out.size();
    out.append(value);
    // SECURITY: a line break in a value would let its writer add fields or a whole second message.
    std::replace_if(
        out.begin() + static_cast<std::ptrdiff_t>(start), out.end(),
        [](char letter) { return letter == '\r' || letter == '\n' || letter == '\0'; }, ' ');
    out.append("\r\n");
  }
  out.append("\r\n");
}

std::optional<std::string> decode_parameter(std::string_view text) {
  std::string spaced(text);
  std::replace(spaced.begin(), spaced.end(), '+', ' ');
  return percent_decode(spaced);
}

}  // namespace

std::string_view Headers::get(std::string_view name) const {
  for (const auto& [field, value] : fields_) {
    if (equal_without_case(field, name)) {
      return value;
    }
  }
  return "";
}

bool Headers::has(std::string_view name) const {
  return std::any_of(fields_.begin(), fields_.end(), [&](const auto& field) { return equal_without_case(field.first, name); });
}

bool Headers::lists(std::string_view name, std::string_view token) const {
  for (const auto& [field, value] : fields_) {
    if (!equal_without_case(field, name)) {
      continue;
    }
    std::string_view rest = value;
    while (!rest.empty()) {
      size_t comma = rest.find(',');
      if (equal_without_case(trimmed(rest.substr(0, comma)), token)) {
        return true;
      }
      rest = comma == std::string_view::npos ? "" : rest.substr(comma + 1);
    }
  }
  return false;
}

void Headers::set(std::string_view name, std::string value) {
  std::erase_if(fields_, [&](const auto& field) { return equal_without_case(field.first, name); });
  fields_.emplace_back(name, std::move(value));
}

std::string_view reason(int status) {
  switch (status) {
    case 100: return "Continue";
    case 101: return "UPGRADED";  // dockerd's word
    case 200: return "OK";
    case 201: return "Created";
    case 204: return "No Content";
    case 304: return "Not Modified";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 413: return "Payload Too Large";
    case 417: return "Expectation Failed";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    case 507: return "Insufficient Storage";
    default: return "Unknown";
  }
}

std::string serialize(const RequestHead& head) {
  std::string out;
  out.reserve(256);
  out.append(head.method).append(" ").append(head.target).append(" HTTP/1.1\r\n");
  append_fields(out, head.headers);
  return out;
}

std::string serialize(const ResponseHead& head) {
  std::string out;
  out.reserve(320);
  out.append("HTTP/1.1 ").append(std::to_string(head.status)).append(" ").append(reason(head.status)).append("\r\n");
  append_fields(out, head.headers);
  return out;
}

std::optional<std::string> percent_decode(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i];
      continue;
    }
    int high = i + 2 < text.size() ? digit_value(text[i + 1]) : -1;
    int low = i + 2 < text.size() ? digit_value(text[i + 2]) : -1;
    if (high < 0 || low < 0) {
      return std::nullopt;
    }
    out += static_cast<char>(high * 16 + low);
    i += 2;
  }
  return out;
}

std::string percent_encode(std::string_view text) {
  static constexpr char kDigits[] = "0123456789ABCDEF";
  std::string out;
  for (char letter : text) {
    if (is_unreserved(letter)) {
      out += letter;
    } else {
      auto byte = static_cast<unsigned char>(letter);
      out += '%';
      out += kDigits[byte >> 4];
      out += kDigits[byte & 15];
    }
  }
  return out;
}

Query Query::parse(std::string_view text) {
  Query query;
  while (!text.empty()) {
    size_t end = text.find('&');
    std::string_view pair = text.substr(0, end);
    text = end == std::string_view::npos ? "" : text.substr(end + 1);
    if (pair.empty()) {
      continue;
    }
    size_t equals = pair.find('=');
    std::optional<std::string> name = decode_parameter(pair.substr(0, equals));
    std::optional<std::string> value = decode_parameter(equals == std::string_view::npos ? "" : pair.substr(equals + 1));
    if (name && value) {
      query.add(std::move(*name), std::move(*value));
    }
  }
  return query;
}

std::string Query::get(std::string_view name) const {
  for (const auto& [key, value] : values_) {
    if (key == name) {
      return value;
    }
  }
  return "";
}

bool Query::has(std::string_view name) const {
  return std::any_of(values_.begin(), values_.end(), [&](const auto& pair) { return pair.first == name; });
}

std::vector<std::string> Query::all(std::string_view name) const {
  std::vector<std::string> found;
  for (const auto& [key, value] : values_) {
    if (key == name) {
      found.push_back(value);
    }
  }
  return found;
}

bool Query::flag(std::string_view name) const {
  std::string value = get(name);
  static constexpr std::array<std::string_view, 5> kFalse = {"", "0", "no", "false", "none"};
  std::string_view text = trimmed(value);
  return std::none_of(kFalse.begin(), kFalse.end(), [&](std::string_view word) { return equal_without_case(text, word); });
}

std::string Query::text() const {
  std::string out;
  for (const auto& [name, value] : values_) {
    out.append(out.empty() ? "" : "&").append(percent_encode(name)).append("=").append(percent_encode(value));
  }
  return out;
}

std::array<char, kFrameHeaderSize> frame_header(StreamType type, uint32_t size) {
  return {static_cast<char>(type),
          0,
          0,
          0,
          static_cast<char>(size >> 24),
          static_cast<char>(size >> 16),
          static_cast<char>(size >> 8),
          static_cast<char>(size)};
}

std::optional<FrameHeader> parse_frame_header(const std::array<char, kFrameHeaderSize>& bytes) {
  auto byte = [&](size_t index) { return static_cast<uint32_t>(static_cast<unsigned char>(bytes[index])); };
  if (byte(0) > 2 || byte(1) != 0 || byte(2) != 0 || byte(3) != 0) {
    return std::nullopt;
  }
  return FrameHeader{static_cast<StreamType>(byte(0)), byte(4) << 24 | byte(5) << 16 | byte(6) << 8 | byte(7)};
}

}  // namespace bulkhead::http
