// Reads requests off a connection, one after the other (keep-alive, pipelined): the head as a whole, the body in pieces.
// Bytes come from whoever can reach the socket; everything is bounded. Used by the connection's thread only.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "http/message.h"
#include "http/server_connection.h"

namespace bulkhead::http {

struct ReaderLimits {
  size_t head_bytes = 64UL << 10;
  std::chrono::milliseconds head_time{30'000};   // from the first byte of a request to its empty line
  std::chrono::milliseconds idle_time{300'000};  // between two requests
};

class RequestReader {
 public:
  RequestReader(ServerConnection& connection, ReaderLimits limits);
  ~RequestReader();
  RequestReader(const RequestReader&) = delete;
  RequestReader& operator=(const RequestReader&) = delete;

  /// The next request's head; nullopt where the client closed, was idle too long, or the server stops, between two requests.
  /// Throws StatusError (400, 408, 431, 501, 505) for what is no request, kUnavailable where the connection broke. The body of
  /// the request before must have been read to its end.
  std::optional<RequestHead> read_head();

  // About the request whose head was read last:
  bool is_http_1_0() const;
  bool keep_alive() const;
  bool is_body_complete() const;
  /// nullopt where the body is chunked. 0 where there is none.
  std::optional<uint64_t> content_length() const;
  /// A part of the body; 0 at its end. Throws as `read_head`.
  size_t read_body(char* buffer, size_t size, Deadline deadline);
  /// Gives away the bytes that came after this request: for a connection that becomes a raw stream.
  std::string take_rest();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace bulkhead::http
