// One API request as its handler sees it, and the few things that all handlers do with it. On the connection's thread.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "engine/engine.h"
#include "http/exchange.h"
#include "http/message.h"

namespace bulkhead::api {

constexpr int kNewestMinor = 50;  // of API version 1.x
constexpr int kOldestMinor = 24;
constexpr size_t kJsonLimit = 4UL << 20;

struct Request {
  http::Exchange& exchange;
  engine::Engine& engine;
  int minor = kNewestMinor;  // the API version the client speaks is 1.<minor>
  std::string path;          // without version and query, decoded
  http::Query query;
  std::string name;  // what stands for the "{name}" of the route
};

/// The body as a JSON object; an absent body is an empty one. Throws StatusError 413, kInvalidArgument where it isn't JSON,
/// nested too deeply, or of another content type than application/json.
nlohmann::json read_json(Request& request);
void answer_json(Request& request, int status, const nlohmann::json& json);
/// One line of a JSON stream; what isn't UTF-8 in it becomes U+FFFD.
std::string json_line(const nlohmann::json& json);
/// 204, 200 or 201 with nothing in it.
void answer_empty(Request& request, int status);
/// A query parameter as a number; nullopt where it is absent or empty. Throws kInvalidArgument naming it.
std::optional<int64_t> integer(const Request& request, std::string_view parameter);

/// Who asks, as a policy sees it.
policy::Caller caller_of(const Request& request);

struct TerminalSize {
  uint16_t rows, columns;
};
/// The parameters h and w of the resize requests.
TerminalSize terminal_size(const Request& request);

}  // namespace bulkhead::api
