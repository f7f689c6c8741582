// A TLS session as a plain socket: a thread carries bytes between the two, so that whoever uses the socket can poll it, pass it
// on and half-close it like any other. shutdown(2) becomes close_notify and the other way round. One per connection; owned by
// whoever owns the socket, and thread-safe.
//
// SECURITY: SO_PEERCRED of the socket tells of this process, not of the peer: it must never be asked.
#pragma once

#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "support/unique_fd.h"
#include "tls/session.h"

namespace bulkhead::tls {

class Relay {
 public:
  /// `session` has shaken hands. Starts the thread, which blocks all signals.
  explicit Relay(Session session);
  /// Sends what was written to the socket, for a few seconds at most where the other side doesn't read, and ends the
  /// connection.
  ~Relay();
  Relay(const Relay&) = delete;
  Relay& operator=(const Relay&) = delete;

  /// The plain socket, once. To end the relay it is enough to close it.
  UniqueFd take_socket() { return std::move(outer_); }
  /// Why the other side's bytes ended without its saying so; "" where they haven't, or where it did.
  std::string failure() const;

 private:
  class Pump;
  void run(Session session);

  UniqueFd outer_, inner_, finish_;
  mutable std::mutex mutex_;
  std::string failure_;
  std::thread thread_;
};

}  // namespace bulkhead::tls
