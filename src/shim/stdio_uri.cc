#include "shim/stdio_uri.h"

#include <fmt/format.h>

#include <charconv>

#include "support/error.h"

namespace bulkhead::shim {
namespace {

Error invalid(std::string_view text, std::string_view why) {
  return {ErrorCode::kInvalidArgument, fmt::format("stream '{}': {}", text, why)};
}

template <typename Number>
Number number_of(std::string_view digits, std::string_view text) {
  Number value{};
  auto [end, failure] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (failure != std::errc() || end != digits.data() + digits.size() || value == 0) {
    throw invalid(text, fmt::format("'{}' is no number of at least 1 that fits", digits));
  }
  return value;
}

int hex_digit(char digit) {
  if (digit >= '0' && digit <= '9') return digit - '0';
  if (digit >= 'a' && digit <= 'f') return digit - 'a' + 10;
  if (digit >= 'A' && digit <= 'F') return digit - 'A' + 10;
  return -1;
}

std::string decode_percent(std::string_view encoded, std::string_view text) {
  std::string out;
  for (size_t i = 0; i < encoded.size(); ++i) {
    if (encoded[i] != '%') {
      out.push_back(encoded[i]);
      continue;
    }
    int high = i + 2 < encoded.size() ? hex_digit(encoded[i + 1]) : -1;
    int low = i + 2 < encoded.size() ? hex_digit(encoded[i + 2]) : -1;
    if (high < 0 || low < 0 || (high == 0 && low == 0)) {
      throw invalid(text, "bad percent encoding");
    }
    out.push_back(static_cast<char>(high * 16 + low));
    i += 2;
  }
  return out;
}

std::filesystem::path absolute(std::string path, std::string_view text) {
  if (!path.starts_with('/') || path.find('\0') != std::string::npos) {
    throw invalid(text, "the path must be absolute");
  }
  return path;
}

void read_parameter(std::string_view parameter, StreamUri& uri, std::string_view text) {
  size_t equals = parameter.find('=');
  std::string_view name = parameter.substr(0, equals);
  std::string_view value = equals == std::string_view::npos ? "" : parameter.substr(equals + 1);
  if (name == "max-size") {
    uri.max_size = number_of<uint64_t>(value, text);
  } else if (name == "max-file") {
    uri.max_file = number_of<unsigned>(value, text);
    if (uri.max_file > 1000) {
      throw invalid(text, "max-file is over 1000");
    }
  } else {
    throw invalid(text, fmt::format("unknown parameter '{}'", name));
  }
}

StreamUri json_file(std::string_view rest, std::string_view text) {
  StreamUri uri{.target = StreamTarget::kJsonFile};
  size_t question = rest.find('?');
  uri.path = absolute(decode_percent(rest.substr(0, question), text), text);
  std::string_view query = question == std::string_view::npos ? "" : rest.substr(question + 1);
  while (!query.empty()) {
    size_t end = query.find('&');
    read_parameter(query.substr(0, end), uri, text);
    query = end == std::string_view::npos ? "" : query.substr(end + 1);
  }
  return uri;
}

}  // namespace

StreamUri parse_stream_uri(std::string_view text) {
  if (text.empty()) {
    return {};
  }
  if (text.starts_with('/')) {
    return {.target = StreamTarget::kFifo, .path = absolute(std::string(text), text)};
  }
  if (text == "attach:") {
    return {.target = StreamTarget::kAttach};
  }
  constexpr std::string_view kJsonFile = "json-file://";
  constexpr std::string_view kFifo = "fifo://";
  if (text.starts_with(kJsonFile)) {
    return json_file(text.substr(kJsonFile.size()), text);
  }
  if (text.starts_with(kFifo)) {
    return {.target = StreamTarget::kFifo, .path = absolute(decode_percent(text.substr(kFifo.size()), text), text)};
  }
  if (size_t colon = text.find(':'); colon != std::string_view::npos) {
    throw Error(ErrorCode::kNotSupported,
                fmt::format("stream '{}': '{}' streams are not supported", text, text.substr(0, colon)));
  }
  throw invalid(text, "it is neither an absolute path nor a URI");
}

}  // namespace bulkhead::shim
