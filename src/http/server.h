// The HTTP server: listening sockets, and one thread for each connection, up to a bound (docs/decisions/0001). Handlers are
// called on the connections' threads, several at a time.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "http/exchange.h"
#include "support/unique_fd.h"

namespace bulkhead::http {

struct ServerOptions {
  size_t maximum_connections = 512;  // further ones are answered 503 and closed
  ReaderLimits limits;
};

class Server {
 public:
  using Handler = std::function<void(Exchange&)>;
  Server(Handler handler, ServerOptions options);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  /// Mode 0660 and of the group "docker" where there is one. Throws kConflict where a server answers at the path already; a
  /// socket that nobody serves is replaced. Removed again at the end.
  void listen_unix(const std::filesystem::path& path);
  /// SECURITY: only on loopback addresses, "127.0.0.1" or "::1" or "localhost": whoever reaches this socket is root here. Port
  /// 0 is any free one. Returns the port.
  uint16_t listen_tcp(const std::string& host, uint16_t port);

  /// Accepts until `stop`, then waits up to `grace` for the requests that are still being answered. Returns whether all ended.
  bool run(std::chrono::milliseconds grace);
  /// Ends `run` and every stream. Async-signal-safe.
  void stop() noexcept;
  /// Serves one connection on this thread until its end.
  void serve(UniqueFd socket, Peer peer);

 private:
  struct Listener {
    UniqueFd socket;
    Peer peer;
    std::filesystem::path path;
  };
  void accept_one(const Listener& listener);
  bool serve_one(ServerConnection& connection, RequestReader& reader);
  void start_thread(UniqueFd socket, Peer peer);

  Handler handler_;
  ServerOptions options_;
  UniqueFd stop_event_;
  std::vector<Listener> listeners_;
  std::mutex mutex_;
  std::condition_variable ended_;
  size_t connections_ = 0;
};

/// SECURITY: what a web page that a user of this host looks at could send to a loopback port: a request with an Origin, or
/// (DNS rebinding) with a foreign Host. Returns why it is refused, or "".
std::string reason_to_refuse(const RequestHead& head);

}  // namespace bulkhead::http
