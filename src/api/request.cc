#include "api/request.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "support/error.h"

namespace bulkhead::api {
namespace {

constexpr int kMaximumDepth = 64;

/// SECURITY: writing and walking deeply nested JSON recurses; no request needs it. Strings are skipped, nothing else is
/// checked.
bool is_nested_too_deeply(std::string_view text) {
  int depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    char letter = text[i];
    if (in_string) {
      i += letter == '\\' ? 1 : 0;
      in_string = letter != '"';
    } else if (letter == '"') {
      in_string = true;
    } else if (letter == '{' || letter == '[') {
      if (++depth > kMaximumDepth) {
        return true;
      }
    } else if (letter == '}' || letter == ']') {
      --depth;
    }
  }
  return false;
}

}  // namespace

nlohmann::json read_json(Request& request) {
  std::string body = request.exchange.read_body(kJsonLimit);
  if (body.find_first_not_of(" \t\r\n") == std::string::npos) {
    return nlohmann::json::object();
  }
  std::string_view type = request.exchange.head().headers.get("Content-Type");
  std::string_view media_type = type.substr(0, type.find(';'));
  // SECURITY: a web page can send other types to a foreign host without asking it first (the Fetch standard,
  // "CORS-safelisted").
  if (media_type != "application/json") {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("unsupported Content-Type header ({}): must be 'application/json'", type));
  }
  if (is_nested_too_deeply(body)) {
    throw Error(ErrorCode::kInvalidArgument, "the request's JSON is nested too deeply");
  }
  nlohmann::json json;
  try {
    json = nlohmann::json::parse(body);
  } catch (const nlohmann::json::parse_error& error) {
    std::string_view what = error.what();
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("the request's body is not JSON: {}", what.substr(what.find(']') + 2)));
  }
  if (json.is_null()) {
    return nlohmann::json::object();
  }
  if (!json.is_object()) {
    throw Error(ErrorCode::kInvalidArgument, "the request's body is not a JSON object");
  }
  return json;
}

std::string json_line(const nlohmann::json& json) {
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace) + "\n";
}

void answer_json(Request& request, int status, const nlohmann::json& json) {
  request.exchange.answer(status, "application/json", json_line(json));
}

void answer_empty(Request& request, int status) { request.exchange.answer(status, "", ""); }

std::optional<int64_t> integer(const Request& request, std::string_view parameter) {
  std::string text = request.query.get(parameter);
  if (text.empty()) {
    return std::nullopt;
  }
  int64_t value = 0;
  const char* end = text.data() + text.size();
  auto [stopped, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stopped != end) {
    throw Error(ErrorCode::kInvalidArgument, fmt::format("query parameter {}='{}' is not a number", parameter, text));
  }
  return value;
}

policy::Caller caller_of(const Request& request) {
  policy::Caller caller{.uid = {}, .tls_name = request.exchange.tls_name()};
  if (auto credentials = request.exchange.credentials()) {
    caller.uid = credentials->uid;
  }
  return caller;
}

TerminalSize terminal_size(const Request& request) {
  std::optional<int64_t> rows = integer(request, "h");
  std::optional<int64_t> columns = integer(request, "w");
  auto fits = [](const std::optional<int64_t>& number) { return number && *number >= 0 && *number <= 0xFFFF; };
  if (!fits(rows) || !fits(columns)) {
    throw Error(ErrorCode::kInvalidArgument, "a terminal's size is h rows and w columns, each from 0 to 65535");
  }
  return {static_cast<uint16_t>(*rows), static_cast<uint16_t>(*columns)};
}

}  // namespace bulkhead::api
