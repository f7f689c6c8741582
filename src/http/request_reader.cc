#include "http/request_reader.h"

#include <fmt/format.h>

#include <boost/beast/core/string.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <vector>

namespace bulkhead::http {
namespace {
namespace beast = boost::beast::http;
using Parser = beast::request_parser<beast::buffer_body>;

constexpr size_t kFirstRead = 4096;
constexpr size_t kLargeRead = 64UL << 10;

StatusError refused(const boost::system::error_code& code, size_t head_limit) {
  if (code == beast::error::header_limit) {
    return {431, fmt::format("the request's head is larger than {} bytes", head_limit)};
  }
  return {400, "malformed HTTP request: " + code.message()};
}

/// RFC 9112, section 3.2.2: a server takes "http://host/path" too.
void take_absolute_form(RequestHead& head) {
  std::string_view target = head.target;
  size_t authority = target.starts_with('/') ? std::string_view::npos : target.find("://");
  if (authority == std::string_view::npos) {
    return;
  }
  auto is_scheme = [&](std::string_view name) { return boost::beast::iequals(name, target.substr(0, authority)); };
  if (!is_scheme("http") && !is_scheme("https")) {
    return;
  }
  authority += 3;
  size_t path = std::min(target.find_first_of("/?", authority), target.size());
  std::string rest(target.substr(path));
  // SECURITY: it replaces the field Host, by which requests of web pages are told.
  head.headers.set("Host", std::string(target.substr(authority, path - authority)));
  head.target = rest.starts_with('/') ? rest : "/" + rest;
}

}  // namespace

struct RequestReader::State {
  State(ServerConnection& its_connection, ReaderLimits its_limits) : connection(its_connection), limits(its_limits) {}

  ServerConnection& connection;
  ReaderLimits limits;
  std::optional<Parser> parser;
  std::vector<char> buffer;
  size_t begin = 0, end = 0;  // what of `buffer` was received and not used yet

  /// Receives more behind what is there. Returns false at the end of the stream.
  bool fill(size_t wanted, Deadline deadline) {
    if (begin == end) {
      begin = end = 0;
    }
    if (buffer.size() - end < wanted / 2) {
      buffer.erase(buffer.begin(), buffer.begin() + static_cast<std::ptrdiff_t>(begin));
      end -= begin;
      begin = 0;
      buffer.resize(std::max(buffer.size(), end + wanted));
    }
    size_t count = connection.receive(buffer.data() + end, buffer.size() - end, deadline);
    end += count;
    return count > 0;
  }

  /// Feeds the parser; returns how many bytes it used.
  size_t put(boost::system::error_code& code) {
    size_t used = parser->put(boost::asio::const_buffer(buffer.data() + begin, end - begin), code);
    begin += used;
    return used;
  }

  RequestHead head() const;
};

RequestHead RequestReader::State::head() const {
  const auto& message = parser->get();
  if (message.version() != 10 && message.version() != 11) {
    throw StatusError(505, "only HTTP/1.0 and HTTP/1.1 are spoken here");
  }
  RequestHead head{std::string(message.method_string()), std::string(message.target()), {}};
  for (const auto& field : message) {
    head.headers.add(std::string(field.name_string()), std::string(field.value()));
  }
  // SECURITY: a transfer coding that isn't understood would make the body's end a guess (request smuggling).
  if (head.headers.has("Transfer-Encoding") && !parser->chunked()) {
    throw StatusError(501, "only the transfer coding 'chunked' is understood");
  }
  take_absolute_form(head);
  return head;
}

RequestReader::RequestReader(ServerConnection& connection, ReaderLimits limits)
    : state_(std::make_unique<State>(connection, limits)) {}
RequestReader::~RequestReader() = default;

std::optional<RequestHead> RequestReader::read_head() {
  State& state = *state_;
  state.parser.emplace();
  state.parser->header_limit(static_cast<uint32_t>(state.limits.head_bytes));
  state.parser->body_limit(boost::none);  // whoever reads the body bounds it
  if (state.begin == state.end &&
      state.connection.wait_readable(after(state.limits.idle_time)) != ServerConnection::Readiness::kReadable) {
    return std::nullopt;
  }
  Deadline deadline = after(state.limits.head_time);
  bool seen_any = state.begin != state.end;
  while (!state.parser->is_header_done()) {
    boost::system::error_code code;
    if (state.begin != state.end) {
      state.put(code);
      if (code && code != beast::error::need_more) {
        throw refused(code, state.limits.head_bytes);
      }
      if (state.parser->is_header_done()) {
        break;
      }
    }
    if (!state.fill(kFirstRead, deadline)) {
      if (!seen_any) {
        return std::nullopt;
      }
      throw Error(ErrorCode::kUnavailable, "the client closed the connection within a request's head");
    }
    seen_any = true;
  }
  return state.head();
}

bool RequestReader::is_http_1_0() const { return state_->parser->get().version() == 10; }
bool RequestReader::keep_alive() const { return state_->parser->keep_alive(); }
bool RequestReader::is_body_complete() const { return state_->parser->is_done(); }

std::optional<uint64_t> RequestReader::content_length() const {
  if (state_->parser->chunked()) {
    return std::nullopt;
  }
  auto length = state_->parser->content_length();
  return length ? uint64_t{*length} : 0;
}

size_t RequestReader::read_body(char* buffer, size_t size, Deadline deadline) {
  State& state = *state_;
  while (!state.parser->is_done()) {
    if (state.begin == state.end && !state.fill(kLargeRead, deadline)) {
      throw Error(ErrorCode::kUnavailable, "the client closed the connection within a request's body");
    }
    auto& body = state.parser->get().body();
    body.data = buffer;
    body.size = size;
    body.more = true;
    boost::system::error_code code;
    state.put(code);
    if (code && code != beast::error::need_buffer && code != beast::error::need_more) {
      throw refused(code, state.limits.head_bytes);
    }
    if (size_t count = size - body.size; count > 0) {
      return count;
    }
    // Between chunks the parser wants a whole line: more bytes behind what it left.
    if (code == beast::error::need_more && !state.fill(kLargeRead, deadline)) {
      throw Error(ErrorCode::kUnavailable, "the client closed the connection within a request's body");
    }
  }
  return 0;
}

std::string RequestReader::take_rest() {
  std::string rest(state_->buffer.data() + state_->begin, state_->end - state_->begin);
  state_->begin = state_->end = 0;
  return rest;
}

}  // namespace bulkhead::http
