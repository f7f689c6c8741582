#include "http/response_reader.h"

#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>

#include "support/error.h"

namespace bulkhead::http {
namespace {

namespace beast_http = boost::beast::http;

// A head larger than this is no engine's answer.
constexpr std::uint32_t kHeadLimit = 64 * 1024;

[[noreturn]] void throw_broken(const boost::beast::error_code& error) {
  throw Error(ErrorCode::kUnavailable, "the engine's answer is broken off or is no HTTP: " + error.message());
}

}  // namespace

struct ResponseReader::Parser {
  beast_http::response_parser<beast_http::buffer_body> beast;
};

ResponseReader::ResponseReader(BodyPresence presence) : parser_(std::make_unique<Parser>()) {
  parser_->beast.header_limit(kHeadLimit);
  parser_->beast.body_limit(boost::none);
  parser_->beast.skip(presence == BodyPresence::kNone);
}
ResponseReader::~ResponseReader() = default;
ResponseReader::ResponseReader(ResponseReader&&) noexcept = default;
ResponseReader& ResponseReader::operator=(ResponseReader&&) noexcept = default;

size_t ResponseReader::read_head(std::string_view bytes) {
  boost::beast::error_code error;
  size_t taken = parser_->beast.put(boost::asio::const_buffer(bytes.data(), bytes.size()), error);
  if (error && error != beast_http::error::need_more) {
    throw_broken(error);
  }
  return taken;
}

bool ResponseReader::head_done() const { return parser_->beast.is_header_done(); }

ResponseHead ResponseReader::head() const {
  const auto& message = parser_->beast.get();
  ResponseHead head;
  head.status = static_cast<int>(message.result_int());
  for (const auto& field : message) {
    head.headers.add(std::string(field.name_string()), std::string(field.value()));
  }
  return head;
}

ResponseReader::Piece ResponseReader::read_body(std::string_view bytes, char* out, size_t size) {
  auto& body = parser_->beast.get().body();
  body.data = out;
  body.size = size;
  body.more = true;
  Piece piece;
  while (!parser_->beast.is_done() && piece.taken < bytes.size() && body.size == size) {
    boost::beast::error_code error;
    std::string_view rest = bytes.substr(piece.taken);
    size_t taken = parser_->beast.put(boost::asio::const_buffer(rest.data(), rest.size()), error);
    piece.taken += taken;
    if (error && error != beast_http::error::need_more && error != beast_http::error::need_buffer) {
      throw_broken(error);
    }
    if (error == beast_http::error::need_more || taken == 0) {
      break;
    }
  }
  piece.written = size - body.size;
  return piece;
}

void ResponseReader::end_of_input() {
  boost::beast::error_code error;
  parser_->beast.put_eof(error);
  if (error) {
    throw_broken(error);
  }
}

bool ResponseReader::done() const { return parser_->beast.is_done(); }
bool ResponseReader::keeps_alive() const { return parser_->beast.get().keep_alive(); }

}  // namespace bulkhead::http
