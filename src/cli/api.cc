#include "cli/api.h"

#include <fmt/format.h>
#include <poll.h>

#include <charconv>
#include <chrono>
#include <cstdlib>
#include <nlohmann/json.hpp>

#include "cli/daemon.h"
#include "support/error.h"

namespace bulkhead::cli {
namespace {

using nlohmann::json;

constexpr int kOldestMinorVersion = 41;
constexpr int kNewestMinorVersion = 47;
constexpr std::chrono::seconds kPingTimeout{30};
constexpr std::string_view kJson = "application/json";

std::string default_host(const Place& place) {
  if (!place.host.empty()) {
    return place.host;
  }
  const char* variable = std::getenv("BULKHEAD_HOST");
  if (variable != nullptr && *variable != '\0') {
    return variable;
  }
  return fmt::format("unix://{}/bulkhead.sock", run_root_of(place).string());
}

http::Address address_of(const Place& place) {
  std::string host = default_host(place);
  std::optional<tls::Files> files = tls_files(place.tls, host);
  http::Address address = http::parse_address(host, files ? "2376" : "2375");
  address.tls = files ? tls::Context::for_client(*files) : nullptr;
  return address;
}

ErrorCode code_of_status(int status) {
  switch (status) {
    case 400: return ErrorCode::kInvalidArgument;
    case 401: return ErrorCode::kUnauthenticated;
    case 403: return ErrorCode::kPermissionDenied;
    case 404: return ErrorCode::kNotFound;
    case 409: return ErrorCode::kConflict;
    case 501: return ErrorCode::kNotSupported;
    case 503: return ErrorCode::kUnavailable;
    case 504: return ErrorCode::kDeadlineExceeded;
    case 507: return ErrorCode::kResourceExhausted;
    default: return ErrorCode::kInternal;
  }
}

void throw_if_failed(http::Connection& connection, const http::ResponseHead& answer) {
  if (answer.status < 400) {
    return;
  }
  std::string text = connection.receive_all();
  json body = json::parse(text, nullptr, false);
  if (body.is_object() && body.value("message", json()).is_string()) {
    text = body["message"];
  }
  while (text.ends_with('\n')) {
    text.pop_back();
  }
  if (text.empty()) {
    text = fmt::format("the engine answered {} {}", answer.status, http::reason(answer.status));
  }
  throw Error(code_of_status(answer.status), std::move(text));
}

int minor_of(std::string_view version) {
  int minor = 0;
  if (version.starts_with("1.")) {
    std::from_chars(version.data() + 2, version.data() + version.size(), minor);
  }
  return minor;
}

bool has_ended(const http::Connection& connection) {
  pollfd entry{.fd = connection.descriptor(), .events = POLLIN, .revents = 0};
  return poll(&entry, 1, 0) != 0;
}

json parse_answer(const std::string& text) {
  if (text.empty()) {
    return nullptr;
  }
  json answer = json::parse(text, nullptr, false);
  if (answer.is_discarded()) {
    throw Error(ErrorCode::kDataLoss, "the engine's answer is no JSON");
  }
  return answer;
}

}  // namespace

std::string escaped(std::string_view name) { return http::percent_encode(name); }

Api::Api(Place place) : place_(std::move(place)), address_(address_of(place_)) {}
Api::~Api() = default;

http::Connection Api::first_connection() {
  try {
    return http::Connection::open(address_);
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kUnavailable || address_.kind != http::Address::Kind::kUnix) {
      throw;
    }
  }
  start_daemon(place_, address_);
  return http::Connection::open(address_);
}

http::Connection Api::connect() {
  if (idle_ && !has_ended(*idle_)) {
    http::Connection connection = std::move(*idle_);
    idle_.reset();
    return connection;
  }
  idle_.reset();
  return http::Connection::open(address_);
}

int Api::minor_version() {
  if (minor_version_ != 0) {
    return minor_version_;
  }
  http::Connection connection = first_connection();
  connection.send({.method = "HEAD", .target = "/_ping", .headers = {}}, "");
  if (!connection.wait_readable(kPingTimeout)) {
    throw Error(ErrorCode::kDeadlineExceeded, fmt::format("the engine at '{}' doesn't answer", address_.text()));
  }
  http::ResponseHead answer = connection.receive_head();
  if (answer.status >= 400) {
    // Why, only a body tells, and the answer to HEAD has none.
    http::Connection again = http::Connection::open(address_);
    again.send({.method = "GET", .target = "/_ping", .headers = {}}, "");
    throw_if_failed(again, again.receive_head());
  }
  int theirs = minor_of(answer.headers.get("Api-Version"));
  if (answer.status >= 400 || theirs == 0) {
    throw Error(ErrorCode::kUnavailable, fmt::format("what listens at '{}' is no Engine API", address_.text()));
  }
  if (theirs < kOldestMinorVersion) {
    throw Error(ErrorCode::kNotSupported, fmt::format("the engine at '{}' speaks API 1.{}, older than 1.{}", address_.text(),
                                                      theirs, kOldestMinorVersion));
  }
  minor_version_ = std::min(theirs, kNewestMinorVersion);
  if (connection.receive_all().empty() && connection.reusable()) {
    idle_ = std::move(connection);
  }
  return minor_version_;
}

http::RequestHead Api::head(std::string method, std::string_view path, const http::Query& query) {
  std::string parameters = query.text();
  std::string target = fmt::format("/v1.{}{}{}{}", minor_version(), path, parameters.empty() ? "" : "?", parameters);
  http::RequestHead head{.method = std::move(method), .target = std::move(target), .headers = {}};
  head.headers.add("User-Agent", "bulkhead/" BULKHEAD_VERSION);
  return head;
}

http::Connection Api::open(std::string method, std::string_view path, const http::Query& query, std::string_view body) {
  http::RequestHead request = head(std::move(method), path, query);
  if (!body.empty()) {
    request.headers.add("Content-Type", std::string(kJson));
  }
  http::Connection connection = connect();
  connection.send(std::move(request), body);
  throw_if_failed(connection, connection.receive_head());
  return connection;
}

std::string Api::call(std::string method, std::string_view path, const http::Query& query, std::string_view body) {
  http::Connection connection = open(std::move(method), path, query, body);
  std::string text = connection.receive_all();
  if (connection.reusable()) {
    idle_ = std::move(connection);
  }
  return text;
}

json Api::get(std::string_view path, const http::Query& query) { return parse_answer(call("GET", path, query, "")); }
void Api::command(std::string_view path, const http::Query& query) { call("POST", path, query, ""); }
json Api::post(std::string_view path, const http::Query& query, const json& body) {
  // Bytes that are no UTF-8 (a file name in a bind mount) can't be JSON: sent as U+FFFD, the engine won't find them.
  return parse_answer(call("POST", path, query, body.dump(-1, ' ', false, json::error_handler_t::replace)));
}
json Api::remove(std::string_view path, const http::Query& query) { return parse_answer(call("DELETE", path, query, "")); }

http::Connection Api::upload(std::string_view path, const http::Query& query, const std::function<std::string()>& next) {
  http::RequestHead request = head("POST", path, query);
  request.headers.add("Content-Type", "application/x-tar");
  http::Connection connection = connect();
  connection.send_chunked(std::move(request));
  try {
    for (std::string piece = next(); !piece.empty(); piece = next()) {
      connection.send_chunk(piece);
    }
    connection.finish_chunks();
  } catch (const Error& error) {
    // An engine that refuses the archive answers and closes before it has read everything: its words are the better ones.
    if (error.code() != ErrorCode::kUnavailable || !connection.wait_readable(std::chrono::seconds(1))) {
      throw;
    }
  }
  throw_if_failed(connection, connection.receive_head());
  return connection;
}

http::Upgraded Api::upgrade(std::string_view path, const http::Query& query, std::string_view body) {
  http::RequestHead request = head("POST", path, query);
  request.headers.add("Connection", "Upgrade");
  request.headers.add("Upgrade", "tcp");
  if (!body.empty()) {
    request.headers.add("Content-Type", std::string(kJson));
  }
  http::Connection connection = connect();
  connection.send(std::move(request), body);
  throw_if_failed(connection, connection.receive_head());
  return std::move(connection).upgrade();
}

}  // namespace bulkhead::cli
