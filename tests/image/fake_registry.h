// A registry on loopback whose every byte the test decides: for what an honest one never does. One thread per connection.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "support/unique_fd.h"

namespace bulkhead::test {

struct FakeRequest {
  std::string method, path;                    // path with query
  std::map<std::string, std::string> headers;  // names in lower case
  std::string header(const std::string& name) const;
};

/// What a handler answers with. Raw: may end early, wait, or be no HTTP at all.
class FakeConnection {
 public:
  explicit FakeConnection(int fd, const std::atomic<bool>& stopping) : fd_(fd), stopping_(stopping) {}
  void send(std::string_view bytes);
  void respond(int status, const std::vector<std::string>& headers, std::string_view body);
  /// Does nothing until the test ends, at most `seconds`.
  void hang(int seconds = 60);
  /// No further request on this connection.
  void close() { closed_ = true; }
  bool closed() const { return closed_ || stopping_; }

 private:
  int fd_;
  const std::atomic<bool>& stopping_;
  bool closed_ = false;
};

class FakeServer {
 public:
  using Handler = std::function<void(const FakeRequest&, FakeConnection&)>;
  /// Listens on `address`:<free port>.
  explicit FakeServer(Handler handler, const char* address = "127.0.0.1");
  ~FakeServer();
  FakeServer(const FakeServer&) = delete;
  FakeServer& operator=(const FakeServer&) = delete;

  std::string host() const { return host_; }  // "127.0.0.1:1234"
  std::vector<FakeRequest> requests();

 private:
  void accept_all();
  void serve(UniqueFd connection);

  Handler handler_;
  std::string host_;
  UniqueFd listener_;
  std::atomic<bool> stopping_ = false;
  std::mutex mutex_;
  std::vector<FakeRequest> requests_;
  std::vector<std::thread> threads_;
  std::thread accepting_;
};

/// An image repository's content, served as a good registry does; tests put other answers in front.
class FakeRepository {
 public:
  /// Adds a blob; returns its digest.
  std::string add(const std::string& bytes);
  /// A manifest of layers (tar archives, plain) with a fitting configuration; tagged. Returns the manifest's digest.
  std::string add_image(const std::string& tag, const std::vector<std::string>& layers);
  void set_manifest(const std::string& tag, const std::string& bytes, const std::string& type = kManifestType);

  /// The good answer.
  void answer(const FakeRequest& request, FakeConnection& connection) const;

  static constexpr const char* kManifestType = "application/vnd.oci.image.manifest.v1+json";
  std::map<std::string, std::string> blobs;                              // digest -> bytes
  std::map<std::string, std::pair<std::string, std::string>> manifests;  // tag or digest -> type, bytes
};

}  // namespace bulkhead::test
