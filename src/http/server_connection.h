// One client's socket, with deadlines: what the server reads requests from and writes answers to. Owned by the thread that
// serves it; no other thread may use it. Every wait also ends when the server stops.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "support/error.h"
#include "support/unique_fd.h"

namespace bulkhead::http {

/// An error whose HTTP status the transport already knows (413, 408, ...).
class StatusError : public Error {
 public:
  StatusError(int status, std::string message) : Error(ErrorCode::kInvalidArgument, std::move(message)), status_(status) {}
  int status() const noexcept { return status_; }

 private:
  int status_;
};

using Clock = std::chrono::steady_clock;
/// nullopt: for as long as it takes.
using Deadline = std::optional<Clock::time_point>;
Deadline after(std::chrono::milliseconds duration);

enum class Peer { kUnix, kTcp, kTls };

/// Who connected to a Unix socket, as the kernel saw it then (SO_PEERCRED, unix(7)).
struct PeerCredentials {
  uint32_t uid = 0;
  int32_t pid = 0;
};

/// What ends waits for a client that have no deadline.
struct Patience {
  std::optional<std::chrono::milliseconds> idle;  // the client neither sends nor takes a byte for so long
  int interrupt = -1;                             // a descriptor that polls readable
};

class ServerConnection {
 public:
  /// `stop_descriptor` polls readable once the server is stopping; it outlives the connection. Of a TLS peer `socket` is the
  /// plain end of its relay (tls/relay.h), and `tls_name` the name in its certificate.
  ServerConnection(UniqueFd socket, Peer peer, int stop_descriptor, std::string tls_name = "");

  enum class Readiness { kReadable, kTimedOut, kStopping, kBrokenOff };
  /// kReadable also where the client has closed.
  Readiness wait_readable(Deadline deadline);
  /// 0 at the end of what the client sends. Throws StatusError 408 at the deadline, kUnavailable where the connection broke,
  /// the server stops, or the wait was broken off.
  size_t receive(char* buffer, size_t size, Deadline deadline);
  /// All of the three parts, in one system call where the socket takes them. Throws kUnavailable where the client is gone,
  /// reads nothing until the deadline, or the server stops while the client isn't reading.
  void send(std::string_view first, std::string_view second, std::string_view third, Deadline deadline);
  /// From now on, for waits that have no deadline.
  void set_patience(Patience patience) { patience_ = patience; }
  /// Whether the client closed its side or the connection broke. Does not block.
  bool is_gone() const;
  bool is_stopping() const;
  /// Ends the sending side and reads away what the client still sends, until it closes or `limit` is over: closing a socket
  /// with unread bytes would destroy what the client hasn't read yet (RFC 9112, section 9.6).
  void linger(std::chrono::milliseconds limit);

  int descriptor() const { return socket_.get(); }
  int stop_descriptor() const { return stop_descriptor_; }
  Peer peer() const { return peer_; }
  /// nullopt over TCP, with TLS or without.
  std::optional<PeerCredentials> credentials() const;
  /// "" but for a TLS peer whose certificate has a name.
  const std::string& tls_name() const { return tls_name_; }

 private:
  int milliseconds_to_wait(Deadline deadline) const;

  UniqueFd socket_;
  Peer peer_;
  int stop_descriptor_;
  std::string tls_name_;
  Patience patience_;
};

}  // namespace bulkhead::http
