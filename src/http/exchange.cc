#include "http/exchange.h"

#include <fmt/format.h>

#include <array>

namespace bulkhead::http {
namespace {
constexpr std::chrono::seconds kBodyTime{30};
constexpr std::chrono::seconds kAnswerTime{60};
constexpr std::chrono::seconds kLingerTime{5};
constexpr std::chrono::seconds kRawLingerTime{1};
constexpr uint64_t kDrainBytes = 256UL << 10;

bool has_no_body(int status) { return status < 200 || status == 204 || status == 304; }

StatusError too_large(size_t limit) {
  return {413, fmt::format("the request's body is larger than {} MiB, the most that is taken here", limit >> 20)};
}

/// Length of the UTF-8 sequence that `text` begins with; 0 where it is none (Unicode 15, table 3-7).
size_t utf8_length(std::string_view text) {
  auto byte = [&](size_t index) -> unsigned { return index < text.size() ? static_cast<unsigned char>(text[index]) : 0U; };
  auto continues = [&](size_t index) { return (byte(index) & 0xC0U) == 0x80U; };
  unsigned first = byte(0);
  if (first < 0x80) {
    return 1;
  }
  if (first >= 0xC2 && first <= 0xDF) {
    return continues(1) ? 2 : 0;
  }
  if (first >= 0xE0 && first <= 0xEF) {
    bool valid = continues(1) && continues(2) && !(first == 0xE0 && byte(1) < 0xA0) && !(first == 0xED && byte(1) > 0x9F);
    return valid ? 3 : 0;
  }
  if (first >= 0xF0 && first <= 0xF4) {
    bool valid = continues(1) && continues(2) && continues(3) && !(first == 0xF0 && byte(1) < 0x90) &&
                 !(first == 0xF4 && byte(1) > 0x8F);
    return valid ? 4 : 0;
  }
  return 0;
}

}  // namespace

std::string json_string(std::string_view text) {
  std::string out = "\"";
  while (!text.empty()) {
    size_t length = utf8_length(text);
    char letter = text.front();
    if (length == 0) {
      out += "\xEF\xBF\xBD";
      length = 1;
    } else if (letter == '"' || letter == '\\') {
      out += '\\';
      out += letter;
    } else if (static_cast<unsigned char>(letter) < 0x20) {
      out += letter == '\n' ? "\\n" : fmt::format("\\u{:04x}", static_cast<unsigned>(letter));
    } else {
      out += text.substr(0, length);
    }
    text.remove_prefix(length);
  }
  return out + '"';
}

Exchange::Exchange(ServerConnection& connection, RequestReader& reader, RequestHead head)
    : connection_(connection), reader_(reader), head_(std::move(head)), keep_alive_(reader.keep_alive()) {
  chunked_ = !reader.is_http_1_0();
  continue_wanted_ = head_.headers.lists("Expect", "100-continue") && has_body();
}

void Exchange::send_continue() {
  if (continue_wanted_) {
    continue_wanted_ = false;
    connection_.send("HTTP/1.1 100 Continue\r\n\r\n", "", "", after(kAnswerTime));
  }
}

std::string Exchange::read_body(size_t limit) {
  std::string body;
  if (!has_body()) {
    return body;
  }
  // SECURITY: memory is spent on what arrives, never on what is announced.
  if (reader_.content_length().value_or(0) > limit) {
    throw too_large(limit);
  }
  send_continue();
  Deadline deadline = after(kBodyTime);
  std::array<char, 16384> part{};
  while (size_t count = reader_.read_body(part.data(), part.size(), deadline)) {
    if (body.size() + count > limit) {
      throw too_large(limit);
    }
    body.append(part.data(), count);
  }
  return body;
}

size_t Exchange::read_some(char* buffer, size_t size) {
  send_continue();
  return reader_.read_body(buffer, size, std::nullopt);
}

std::string Exchange::begin_head(int status, std::string_view content_type) {
  if (!content_type.empty()) {
    response_headers_.set("Content-Type", std::string(content_type));
  }
  if (!keep_alive_) {
    response_headers_.set("Connection", "close");
  } else if (reader_.is_http_1_0()) {
    response_headers_.set("Connection", "keep-alive");
  }
  sent_ = true;
  return serialize(ResponseHead{status, response_headers_});
}

void Exchange::answer(int status, std::string_view content_type, std::string_view body) {
  phase_ = Phase::kDone;
  // What is left of the request tells whether this connection has a future: the head has to say so.
  if (!drain()) {
    keep_alive_ = false;
    linger_ = true;
  }
  if (!has_no_body(status)) {
    response_headers_.set("Content-Length", std::to_string(body.size()));
  }
  std::string head = begin_head(status, has_no_body(status) ? "" : content_type);
  bool with_body = head_.method != "HEAD" && !has_no_body(status);
  connection_.send(head, with_body ? body : "", "", after(kAnswerTime));
}

void Exchange::fail(int status, std::string_view text) {
  answer(status, "application/json", fmt::format("{{\"message\":{}}}\n", json_string(text)));
}

void Exchange::begin_stream(int status, std::string_view content_type) {
  phase_ = Phase::kStreaming;
  if (chunked_) {
    response_headers_.set("Transfer-Encoding", "chunked");
  } else {
    keep_alive_ = false;
  }
  pending_head_ = begin_head(status, content_type);
  sent_ = false;
}

void Exchange::abandon_stream() {
  phase_ = Phase::kNothing;
  pending_head_.clear();
  Headers kept;
  for (const auto& [name, value] : response_headers_.fields()) {
    if (name != "Transfer-Encoding") {
      kept.add(name, value);
    }
  }
  response_headers_ = std::move(kept);
}

void Exchange::flush() {
  sent_ = true;
  connection_.send(std::exchange(pending_head_, {}), "", "", std::nullopt);
}

void Exchange::write(std::string_view bytes) {
  if (bytes.empty() || head_.method == "HEAD") {
    return;  // an empty chunk would end the stream
  }
  sent_ = true;
  std::string before = std::exchange(pending_head_, {});
  if (chunked_) {
    before += fmt::format("{:x}\r\n", bytes.size());
  }
  connection_.send(before, bytes, chunked_ ? "\r\n" : "", std::nullopt);
}

Exchange::Raw Exchange::hijack(std::string_view content_type) {
  phase_ = Phase::kHijacked;
  keep_alive_ = true;  // no "Connection: close" in a head whose connection goes on
  bool upgrade = head_.headers.lists("Connection", "Upgrade") && head_.headers.has("Upgrade");
  if (upgrade) {
    response_headers_.set("Connection", "Upgrade");
    response_headers_.set("Upgrade", "tcp");
  }
  response_headers_.set("Content-Type", std::string(content_type));
  sent_ = true;
  connection_.send(serialize(ResponseHead{upgrade ? 101 : 200, response_headers_}), "", "", after(kAnswerTime));
  keep_alive_ = false;
  return {connection_.descriptor(), reader_.take_rest()};
}

bool Exchange::drain() {
  if (reader_.is_body_complete()) {
    return true;
  }
  // A client that waits for "100 Continue" may send its body or not: nothing after it can be trusted to be a request.
  if (continue_wanted_ || reader_.content_length().value_or(0) > kDrainBytes) {
    return false;
  }
  std::array<char, 16384> discarded{};
  Deadline deadline = after(std::chrono::seconds(1));
  try {
    uint64_t total = 0;
    while (size_t count = reader_.read_body(discarded.data(), discarded.size(), deadline)) {
      total += count;
      if (total > kDrainBytes) {
        return false;
      }
    }
    return true;
  } catch (const Error&) {
    return false;
  }
}

bool Exchange::finish() {
  if (phase_ == Phase::kStreaming) {
    std::string last = std::exchange(pending_head_, {});
    if (chunked_ && head_.method != "HEAD") {
      last += "0\r\n\r\n";
    }
    connection_.send(last, "", "", after(kAnswerTime));
    phase_ = Phase::kDone;
    if (!reader_.is_body_complete()) {
      linger_ = !drain();
      keep_alive_ = keep_alive_ && !linger_;
    }
  }
  if (linger_) {
    connection_.linger(kLingerTime);
  } else if (phase_ == Phase::kHijacked) {
    connection_.linger(kRawLingerTime);
  }
  return keep_alive_ && phase_ == Phase::kDone;
}

}  // namespace bulkhead::http
