// The HTTP server: listening sockets, and one thread for each connection, up to a bound (docs/decisions/0001). Handlers are
// called on the connections' threads, several at a time.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "http/exchange.h"
#include "support/unique_fd.h"
#include "tls/context.h"

namespace bulkhead::http {

struct ServerOptions {
  size_t maximum_connections = 512;  // further ones are answered 503 and closed
  // SECURITY: of these, that strangers can hold: TLS connections whose client has not shown its certificate yet. Further ones
  // are closed.
  size_t maximum_handshakes = 128;
  std::chrono::milliseconds handshake_time{10'000};
  ReaderLimits limits;
};

class Server {
 public:
  using Handler = std::function<void(Exchange&)>;
  Server(Handler handler, ServerOptions options);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// As bind_unix (listening_sockets.h). Removed again at the end.
  void listen_unix(const std::filesystem::path& path);
  /// SECURITY: only on loopback addresses, "127.0.0.1" or "::1" or "localhost": whoever reaches this socket is root here. Port
  /// 0 is any free one. Returns the port.
  uint16_t listen_tcp(const std::string& host, uint16_t port);
  /// SECURITY: at any address: `context` lets nobody in without a certificate. As bind_tcp.
  uint16_t listen_tls(const std::string& host, uint16_t port, std::shared_ptr<const tls::Context> context);

  /// Accepts until `stop`, then waits up to `grace` for the requests that are still being answered. Returns whether all ended.
  bool run(std::chrono::milliseconds grace);
  /// Ends `run` and every stream. Async-signal-safe.
  void stop() noexcept;
  /// Serves one connection on this thread until its end.
  void serve(UniqueFd socket, Peer peer);
  /// The same for one that begins with a TLS handshake.
  void serve_tls(UniqueFd socket, const tls::Context& context);

 private:
  struct Listener {
    UniqueFd socket;
    Peer peer;
    std::filesystem::path path;
    std::shared_ptr<const tls::Context> tls;
  };
  struct Job {
    Server* server;
    UniqueFd socket;
    Peer peer;
    std::shared_ptr<const tls::Context> tls;
  };
  void accept_one(const Listener& listener);
  bool take_place(const Job& job);
  void start_thread(Job its_job);
  void end_handshake();
  /// Where `why_none` says something every request is answered with it, 403.
  void serve_requests(ServerConnection& connection, const std::string& why_none);
  bool serve_one(ServerConnection& connection, RequestReader& reader, const std::string& why_none);

  Handler handler_;
  ServerOptions options_;
  UniqueFd stop_event_;
  std::vector<Listener> listeners_;
  std::mutex mutex_;
  std::condition_variable ended_;
  size_t connections_ = 0, handshakes_ = 0;
};

/// A whole answer in JSON, after which the connection ends.
std::string refusal(int status, std::string_view message);

/// SECURITY: what a web page that a user of this host looks at could send to a loopback port: a request with an Origin, or
/// (DNS rebinding) with a foreign Host. Returns why it is refused, or "".
std::string reason_to_refuse(Peer peer, const RequestHead& head);

}  // namespace bulkhead::http
