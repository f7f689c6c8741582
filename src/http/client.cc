#include "http/client.h"

#include <fmt/format.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "support/error.h"

namespace bulkhead::http {
namespace {

constexpr size_t kReadSize = 32768;
constexpr std::chrono::seconds kHandshakeTime{30};

UniqueFd connect_unix(const Address& address) {
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  if (address.path.size() >= sizeof(name.sun_path)) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("socket path '{}' is longer than {} bytes", address.path, sizeof(name.sun_path) - 1));
  }
  memcpy(name.sun_path, address.path.data(), address.path.size());
  UniqueFd fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) {
    throw system_error("socket");
  }
  if (connect(fd.get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) != 0) {
    // A socket file without a listener, or none at all, both mean the same to the caller: nobody is there.
    ErrorCode code = errno == ENOENT || errno == ECONNREFUSED ? ErrorCode::kUnavailable : code_of_errno(errno);
    throw Error(code, system_error(fmt::format("connect to '{}'", address.text())).message());
  }
  return fd;
}

UniqueFd connect_tcp(const Address& address) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (int error = getaddrinfo(address.host.c_str(), address.port.c_str(), &hints, &found); error != 0) {
    throw Error(ErrorCode::kUnavailable, fmt::format("look up '{}': {}", address.host, gai_strerror(error)));
  }
  std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found, freeaddrinfo);
  int last_error = ECONNREFUSED;
  for (const addrinfo* candidate = found; candidate != nullptr; candidate = candidate->ai_next) {
    UniqueFd fd(socket(candidate->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    if (fd && connect(fd.get(), candidate->ai_addr, candidate->ai_addrlen) == 0) {
      int on = 1;
      (void)setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      return fd;
    }
    last_error = errno;
  }
  throw Error(ErrorCode::kUnavailable, system_error(fmt::format("connect to '{}'", address.text()), last_error).message());
}

}  // namespace

std::string Address::text() const {
  if (kind == Kind::kUnix) {
    return "unix://" + path;
  }
  return host.find(':') == std::string::npos ? fmt::format("tcp://{}:{}", host, port)
                                             : fmt::format("tcp://[{}]:{}", host, port);
}

Address parse_address(std::string_view text, std::string_view default_port) {
  auto fail = [&](std::string_view why) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("host '{}' {}: write unix:///path/of.sock or tcp://address:port", text, why));
  };
  constexpr std::string_view kUnix = "unix://";
  constexpr std::string_view kTcp = "tcp://";
  Address address;
  if (text.starts_with(kUnix)) {
    address.path = text.substr(kUnix.size());
    if (!address.path.starts_with('/')) {
      fail("has no absolute path");
    }
    return address;
  }
  if (!text.starts_with(kTcp)) {
    fail("is of no known kind");
  }
  address.kind = Address::Kind::kTcp;
  std::string_view rest = text.substr(kTcp.size());
  while (rest.ends_with('/')) {
    rest.remove_suffix(1);
  }
  size_t bracket = rest.starts_with('[') ? rest.find(']') : 0;
  if (bracket == std::string_view::npos) {
    fail("has an unclosed '['");
  }
  size_t colon = rest.find(':', bracket);
  address.host = bracket > 0 ? rest.substr(1, bracket - 1) : rest.substr(0, colon);
  address.port = colon == std::string_view::npos ? default_port : rest.substr(colon + 1);
  if (address.host.empty()) {
    address.host = "127.0.0.1";
  }
  if (address.port.empty() || address.port.size() > 5 || address.port.find_first_not_of("0123456789") != std::string::npos) {
    fail("has a bad port");
  }
  return address;
}

Connection Connection::open(const Address& address) {
  if (address.kind == Address::Kind::kUnix) {
    return {connect_unix(address), nullptr, address.text()};
  }
  UniqueFd socket = connect_tcp(address);
  if (address.tls == nullptr) {
    return {std::move(socket), nullptr, address.text()};
  }
  try {
    tls::Session session = tls::Session::connect(std::move(socket), *address.tls, address.host);
    session.handshake(std::chrono::steady_clock::now() + kHandshakeTime, -1);
    auto relay = std::make_unique<tls::Relay>(std::move(session));
    UniqueFd plain = relay->take_socket();
    return {std::move(plain), std::move(relay), address.text()};
  } catch (const Error& error) {
    throw error.wrap(fmt::format("the engine at '{}'", address.text()));
  }
}

void Connection::throw_if_broken() const {
  if (std::string why = relay_ ? relay_->failure() : ""; !why.empty()) {
    throw Error(ErrorCode::kUnauthenticated, fmt::format("the engine at '{}' ended the TLS connection: {}", address_, why));
  }
}

void Connection::send(RequestHead head, std::string_view body) {
  head.headers.set("Host", "bulkhead");
  if (!body.empty() || head.method == "POST" || head.method == "PUT") {
    head.headers.set("Content-Length", std::to_string(body.size()));
  }
  head_request_ = head.method == "HEAD";
  reader_.reset();
  std::string bytes = serialize(head);
  bytes.append(body);
  send_bytes(bytes);
}

void Connection::send_chunked(RequestHead head) {
  head.headers.set("Host", "bulkhead");
  head.headers.set("Transfer-Encoding", "chunked");
  head_request_ = false;
  reader_.reset();
  send_bytes(serialize(head));
}

void Connection::send_chunk(std::string_view bytes) {
  if (bytes.empty()) {
    return;  // an empty chunk would end the body
  }
  send_bytes(fmt::format("{:x}\r\n", bytes.size()));
  send_bytes(bytes);
  send_bytes("\r\n");
}

void Connection::finish_chunks() { send_bytes("0\r\n\r\n"); }

void Connection::send_bytes(std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t sent = ::send(socket_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) {
      continue;
    }
    if (sent < 0) {
      Error error(ErrorCode::kUnavailable, system_error(fmt::format("send to '{}'", address_)).message());
      throw_if_broken();
      throw error;  // NOLINT(cert-err09-cpp,cert-err61-cpp): made before errno could change
    }
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
}

bool Connection::fill() {
  size_t before = received_.size();
  received_.resize(before + kReadSize);
  ssize_t count = 0;
  do {
    count = recv(socket_.get(), received_.data() + before, kReadSize, 0);
  } while (count < 0 && errno == EINTR);
  int error = errno;
  received_.resize(before + static_cast<size_t>(count < 0 ? 0 : count));
  if (count < 0) {
    throw Error(ErrorCode::kUnavailable, system_error(fmt::format("receive from '{}'", address_), error).message());
  }
  if (count == 0) {
    throw_if_broken();
  }
  return count > 0;
}

ResponseHead Connection::receive_head() {
  reader_.emplace(head_request_ ? BodyPresence::kNone : BodyPresence::kAsTheHeadSays);
  while (!reader_->head_done()) {
    if (!received_.empty()) {
      received_.erase(0, reader_->read_head(received_));
      if (reader_->head_done()) {
        break;
      }
    }
    if (!fill()) {
      throw Error(ErrorCode::kUnavailable, fmt::format("the engine at '{}' closed the connection without an answer", address_));
    }
  }
  return reader_->head();
}

size_t Connection::receive(char* out, size_t size) {
  while (!reader_->done()) {
    if (!received_.empty()) {
      ResponseReader::Piece piece = reader_->read_body(received_, out, size);
      received_.erase(0, piece.taken);
      if (piece.written > 0) {
        return piece.written;
      }
      if (reader_->done()) {
        break;
      }
    }
    if (!fill()) {
      reader_->end_of_input();
      break;
    }
  }
  return 0;
}

std::string Connection::receive_all(size_t limit) {
  std::string all;
  std::string buffer(kReadSize, '\0');
  for (size_t count = receive(buffer.data(), buffer.size()); count > 0; count = receive(buffer.data(), buffer.size())) {
    if (all.size() + count > limit) {
      throw Error(ErrorCode::kResourceExhausted, fmt::format("the answer of '{}' is larger than {} bytes", address_, limit));
    }
    all.append(buffer, 0, count);
  }
  return all;
}

bool Connection::wait_readable(std::chrono::milliseconds timeout) {
  if (!received_.empty()) {
    return true;
  }
  pollfd entry{.fd = socket_.get(), .events = POLLIN, .revents = 0};
  return poll(&entry, 1, static_cast<int>(timeout.count())) > 0;
}

bool Connection::reusable() const { return reader_ && reader_->done() && reader_->keeps_alive() && received_.empty(); }

Upgraded Connection::upgrade() && { return {std::move(socket_), std::move(received_), std::move(relay_)}; }

}  // namespace bulkhead::http
