// A blocking ttrpc client that many threads may share: calls overlap on one connection, and whichever caller is waiting reads
// for the others (there is no thread of its own).
#pragma once

#include <chrono>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "support/unique_fd.h"

namespace google::protobuf {
class MessageLite;
}

namespace bulkhead::ttrpc {

class Client {
 public:
  /// `socket` is a connected stream socket, blocking or not.
  explicit Client(UniqueFd socket);
  /// No call may be under way.
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  /// Blocks until the answer, parsed into `response`. Throws the server's error; kUnavailable where the connection broke;
  /// kDeadlineExceeded after `timeout` (nullopt: never).
  void call(const std::string& service, const std::string& method, const google::protobuf::MessageLite& request,
            google::protobuf::MessageLite& response, std::optional<std::chrono::milliseconds> timeout);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Connects to a unix stream socket, of any path length (through /proc/self/fd where it is too long for sun_path). Throws
/// naming the path.
UniqueFd connect_unix(const std::filesystem::path& path);

}  // namespace bulkhead::ttrpc
