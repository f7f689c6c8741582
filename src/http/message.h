// What HTTP/1.1 messages are made of, for the server and the client: headers, heads, query strings, and the eight-byte frames
// in which the Engine API carries standard output and standard error over one connection. Pure data: no sockets.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace bulkhead::http {

/// Header fields in the order they came; names compare without case (RFC 9110, section 5.1).
class Headers {
 public:
  /// The first field of that name, or "".
  std::string_view get(std::string_view name) const;
  bool has(std::string_view name) const;
  /// Whether a comma-separated field such as Connection or Upgrade lists `token` (without case).
  bool lists(std::string_view name, std::string_view token) const;
  void add(std::string name, std::string value) { fields_.emplace_back(std::move(name), std::move(value)); }
  /// Replaces every field of that name.
  void set(std::string_view name, std::string value);
  const std::vector<std::pair<std::string, std::string>>& fields() const { return fields_; }

 private:
  std::vector<std::pair<std::string, std::string>> fields_;
};

struct RequestHead {
  std::string method;  // "GET"
  std::string target;  // "/v1.41/containers/json?all=1"
  Headers headers;
};

struct ResponseHead {
  int status = 200;
  Headers headers;
};

/// "Not Found".
std::string_view reason(int status);
/// The start line and fields with the empty line at the end, ready to be sent as HTTP/1.1. Line breaks inside a field's value
/// become spaces, so that no text from elsewhere can add a field.
std::string serialize(const RequestHead& head);
std::string serialize(const ResponseHead& head);

/// "%2F" -> "/"; a '%' without two hexadecimal digits gives nullopt.
std::optional<std::string> percent_decode(std::string_view text);
/// Everything but RFC 3986's unreserved characters becomes %XX.
std::string percent_encode(std::string_view text);

/// The parameters of a query string, decoded ('+' is a space). As Go's url.Values, which the docker client writes.
class Query {
 public:
  /// Of "a=1&b=2" without the '?'. Pairs that can't be decoded are left out.
  static Query parse(std::string_view text);
  /// The first value, or "".
  std::string get(std::string_view name) const;
  bool has(std::string_view name) const;
  std::vector<std::string> all(std::string_view name) const;
  /// Docker's truth: absent, "", "0", "no", "false" and "none" are false (any case), all else is true.
  bool flag(std::string_view name) const;
  void add(std::string name, std::string value) { values_.emplace_back(std::move(name), std::move(value)); }
  /// "a=1&b=2", encoded.
  std::string text() const;

 private:
  std::vector<std::pair<std::string, std::string>> values_;
};

/// Engine API, "Stream format": one byte of stream type, three zero bytes, the size as a big-endian 32 bit number, then bytes.
enum class StreamType : uint8_t { kIn = 0, kOut = 1, kErr = 2 };
constexpr size_t kFrameHeaderSize = 8;
std::array<char, kFrameHeaderSize> frame_header(StreamType type, uint32_t size);
struct FrameHeader {
  StreamType type;
  uint32_t size;
};
/// nullopt where the eight bytes are no frame header.
std::optional<FrameHeader> parse_frame_header(const std::array<char, kFrameHeaderSize>& bytes);

}  // namespace bulkhead::http
