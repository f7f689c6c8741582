#include "fake_registry.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <chrono>

#include "oci/digest.h"
#include "support/error.h"

namespace bulkhead::test {

std::string FakeRequest::header(const std::string& name) const {
  auto found = headers.find(name);
  return found == headers.end() ? "" : found->second;
}

void FakeConnection::send(std::string_view bytes) {
  while (!bytes.empty() && !stopping_) {
    ssize_t count = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count <= 0) {
      closed_ = true;
      return;
    }
    bytes.remove_prefix(static_cast<size_t>(count));
  }
}

void FakeConnection::respond(int status, const std::vector<std::string>& headers, std::string_view body) {
  std::string head = fmt::format("HTTP/1.1 {} Status\r\nContent-Length: {}\r\n", status, body.size());
  for (const std::string& header : headers) {
    head += header + "\r\n";
  }
  send(head + "\r\n");
  send(body);
}

void FakeConnection::hang(int seconds) {
  auto end = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  while (!stopping_ && std::chrono::steady_clock::now() < end) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  closed_ = true;
}

FakeServer::FakeServer(Handler handler, const char* address) : handler_(std::move(handler)) {
  listener_.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in name{};
  name.sin_family = AF_INET;
  socklen_t size = sizeof(name);
  auto* generic = reinterpret_cast<sockaddr*>(&name);
  if (!listener_ || ::inet_pton(AF_INET, address, &name.sin_addr) != 1 || ::bind(listener_.get(), generic, size) != 0 ||
      ::listen(listener_.get(), 64) != 0 || ::getsockname(listener_.get(), generic, &size) != 0) {
    throw system_error("listen on loopback");
  }
  host_ = fmt::format("{}:{}", address, ntohs(name.sin_port));
  accepting_ = std::thread([this] { accept_all(); });
}

FakeServer::~FakeServer() {
  stopping_ = true;
  ::shutdown(listener_.get(), SHUT_RDWR);
  accepting_.join();
  for (std::thread& thread : threads_) {
    thread.join();
  }
}

std::vector<FakeRequest> FakeServer::requests() {
  std::lock_guard lock(mutex_);
  return requests_;
}

void FakeServer::accept_all() {
  for (;;) {
    UniqueFd connection(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!connection) {
      return;
    }
    threads_.emplace_back([this, fd = connection.release()] { serve(UniqueFd(fd)); });
  }
}

void FakeServer::serve(UniqueFd socket) {
  FakeConnection connection(socket.get(), stopping_);
  std::string text;
  while (!stopping_ && !connection.closed()) {
    size_t end = text.find("\r\n\r\n");
    if (end == std::string::npos) {
      pollfd wait{.fd = socket.get(), .events = POLLIN, .revents = 0};
      if (::poll(&wait, 1, 50) == 0) {
        continue;
      }
      char buffer[4096];
      ssize_t count = ::read(socket.get(), buffer, sizeof(buffer));
      if (count <= 0) {
        return;
      }
      text.append(buffer, static_cast<size_t>(count));
      continue;
    }
    FakeRequest request;
    std::string head = text.substr(0, end + 2);
    text.erase(0, end + 4);
    size_t line_end = head.find("\r\n");
    std::string first = head.substr(0, line_end);
    request.method = first.substr(0, first.find(' '));
    request.path = first.substr(request.method.size() + 1, first.rfind(' ') - request.method.size() - 1);
    for (size_t at = line_end + 2; at < head.size();) {
      size_t stop = head.find("\r\n", at);
      std::string line = head.substr(at, stop - at);
      at = stop + 2;
      size_t colon = line.find(':');
      std::string name = line.substr(0, colon);
      std::transform(name.begin(), name.end(), name.begin(), [](char c) { return static_cast<char>(std::tolower(c)); });
      request.headers[name] = line.substr(std::min(line.size(), colon + 2));
    }
    {
      std::lock_guard lock(mutex_);
      requests_.push_back(request);
    }
    handler_(request, connection);
  }
}

std::string FakeRepository::add(const std::string& bytes) {
  std::string digest = oci::Hasher::of(bytes).text();
  blobs[digest] = bytes;
  return digest;
}

std::string FakeRepository::add_image(const std::string& tag, const std::vector<std::string>& layers) {
  std::string diff_ids;
  std::string descriptors;
  for (const std::string& layer : layers) {
    std::string digest = add(layer);
    diff_ids += fmt::format("{}\"{}\"", diff_ids.empty() ? "" : ",", digest);
    descriptors += fmt::format(R"({}{{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"{}","size":{}}})",
                               descriptors.empty() ? "" : ",", digest, layer.size());
  }
  std::string config =
      fmt::format(R"({{"architecture":"amd64","os":"linux","created":"2020-01-01T00:00:00Z","config":{{"Cmd":["sh"]}},)"
                  R"("rootfs":{{"type":"layers","diff_ids":[{}]}},"history":[{{"comment":"{}"}}]}})",
                  diff_ids, tag);
  std::string manifest =
      fmt::format(R"({{"schemaVersion":2,"mediaType":"{}","config":{{"mediaType":"application/vnd.oci.image.config.v1+json",)"
                  R"("digest":"{}","size":{}}},"layers":[{}]}})",
                  kManifestType, add(config), config.size(), descriptors);
  set_manifest(tag, manifest);
  return oci::Hasher::of(manifest).text();
}

void FakeRepository::set_manifest(const std::string& tag, const std::string& bytes, const std::string& type) {
  manifests[tag] = {type, bytes};
  manifests[oci::Hasher::of(bytes).text()] = {type, bytes};
}

void FakeRepository::answer(const FakeRequest& request, FakeConnection& connection) const {
  std::string name = request.path.substr(request.path.rfind('/') + 1);
  if (request.path == "/v2/") {
    connection.respond(200, {}, "{}");
  } else if (request.path.find("/manifests/") != std::string::npos && manifests.contains(name)) {
    const auto& [type, bytes] = manifests.at(name);
    connection.respond(200, {"Content-Type: " + type}, bytes);
  } else if (request.path.find("/blobs/") != std::string::npos && blobs.contains(name)) {
    const std::string& bytes = blobs.at(name);
    std::string range = request.header("range");
    size_t start = 0;
    if (range.starts_with("bytes=")) {
      std::from_chars(range.data() + 6, range.data() + range.size(), start);
      connection.respond(206, {fmt::format("Content-Range: bytes {}-{}/{}", start, bytes.size() - 1, bytes.size())},
                         std::string_view(bytes).substr(start));
    } else {
      connection.respond(200, {}, bytes);
    }
  } else {
    connection.respond(404, {}, R"({"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]})");
  }
}

}  // namespace bulkhead::test
