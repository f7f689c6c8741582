// Parses one HTTP/1.1 response from bytes as they arrive: the head, then the body decoded from its transfer encoding.
// Fed by client.cc; owns no socket. Not thread-safe.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "http/message.h"

namespace bulkhead::http {

enum class BodyPresence { kAsTheHeadSays, kNone };  // kNone: the answer to a HEAD request

class ResponseReader {
 public:
  explicit ResponseReader(BodyPresence presence);
  ~ResponseReader();
  ResponseReader(ResponseReader&&) noexcept;
  ResponseReader& operator=(ResponseReader&&) noexcept;

  /// Takes bytes of the head from the front of `bytes`; returns how many. Throws kUnavailable where they are no HTTP.
  size_t read_head(std::string_view bytes);
  bool head_done() const;
  ResponseHead head() const;

  struct Piece {
    size_t taken = 0;    // bytes of the input used up
    size_t written = 0;  // bytes of body now in `out`
  };
  /// Decodes from `bytes` into `out`. Nothing taken and nothing written: more bytes are needed.
  Piece read_body(std::string_view bytes, char* out, size_t size);
  /// The connection ended. Throws kUnavailable where the response wasn't complete.
  void end_of_input();
  bool done() const;
  bool keeps_alive() const;

 private:
  struct Parser;
  std::unique_ptr<Parser> parser_;
};

}  // namespace bulkhead::http
