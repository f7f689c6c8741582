// One request and its answer, as a handler sees them. Lives on the connection's thread for the time of the request; everything
// blocks. A handler answers exactly once: with `answer`, with `begin_stream` and `write`s, or with `hijack`.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "http/message.h"
#include "http/request_reader.h"
#include "http/server_connection.h"

namespace bulkhead::http {

class Exchange {
 public:
  Exchange(ServerConnection& connection, RequestReader& reader, RequestHead head);

  const RequestHead& head() const { return head_; }
  /// Who asks, where the kernel knows.
  std::optional<PeerCredentials> credentials() const { return connection_.credentials(); }
  /// The name in the client's certificate; "" where there is none.
  const std::string& tls_name() const { return connection_.tls_name(); }
  /// Fields that whatever answer comes will carry.
  Headers& response_headers() { return response_headers_; }

  // The request's body.
  bool has_body() const { return !reader_.is_body_complete(); }
  /// The whole body. Throws StatusError 413 above `limit` (by Content-Length, before a byte of it is read; else when it is
  /// reached), 408 where it takes more than thirty seconds.
  std::string read_body(size_t limit);
  /// For `read_some`, `write` and `flush`, which else wait for as long as the client takes.
  void set_patience(Patience patience) { connection_.set_patience(patience); }
  /// A part; 0 at the end. Waits for as long as the client takes.
  size_t read_some(char* buffer, size_t size);

  // The answer.
  void answer(int status, std::string_view content_type, std::string_view body);
  /// {"message": text}
  void fail(int status, std::string_view text);
  /// A body of unknown length (chunked; for HTTP/1.0 ended by closing). The head goes with the first `write`, or `flush`.
  void begin_stream(int status, std::string_view content_type);
  /// Sent at once. Waits for as long as the client takes to read; throws kUnavailable where it has gone.
  void write(std::string_view bytes);
  void flush();
  bool has_answered() const { return phase_ != Phase::kNothing; }
  /// Whether bytes of a stream were sent (else there is still time for another status).
  bool has_sent() const { return sent_; }
  /// Forgets a stream of which nothing was sent, so that an error can be answered.
  void abandon_stream();

  /// The connection as a raw stream in both directions: the answer's head is sent (101 where the client asked for an upgrade,
  /// else 200), the request's body has to have been read. The connection ends with the exchange.
  struct Raw {
    int descriptor;     // non-blocking; stays owned by the connection
    std::string early;  // what the client sent already
  };
  Raw hijack(std::string_view content_type);
  bool is_hijacked() const { return phase_ == Phase::kHijacked; }

  /// The client closed its side, or the server stops: nobody will read the answer. Does not block.
  bool is_cancelled() const { return connection_.is_gone() || connection_.is_stopping(); }
  /// To poll together with other descriptors: the client's (POLLRDHUP, for raw streams POLLIN too), and the server's stopping
  /// (POLLIN).
  int descriptor() const { return connection_.descriptor(); }
  int stop_descriptor() const { return connection_.stop_descriptor(); }

  /// For the server: ends the answer and reads away what is left of the request. Returns whether another may follow.
  bool finish();

 private:
  enum class Phase { kNothing, kStreaming, kHijacked, kDone };
  void send_continue();
  bool drain();
  std::string begin_head(int status, std::string_view content_type);

  ServerConnection& connection_;
  RequestReader& reader_;
  RequestHead head_;
  Headers response_headers_;
  Phase phase_ = Phase::kNothing;
  std::string pending_head_;
  bool continue_wanted_ = false;
  bool keep_alive_ = true;
  bool sent_ = false;
  bool chunked_ = true;
  bool linger_ = false;
};

/// `text` as a JSON string with its quotes; bytes that aren't UTF-8 become U+FFFD.
std::string json_string(std::string_view text);

}  // namespace bulkhead::http
