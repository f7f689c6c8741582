// What one side of TLS connections is set up with: its certificate and key, and the CA that the other side's certificate has to
// be signed by. Read from PEM files once, by dockerd's rules; immutable, for any thread. Throws naming the file, the reason and
// what to do. TLS 1.2 and newer; no resumption: each connection shows its certificate, so that one that has expired meanwhile
// ends.
#pragma once

#include <filesystem>
#include <memory>

struct ssl_ctx_st;

namespace bulkhead::tls {

/// --tlscacert, --tlscert, --tlskey.
struct Files {
  std::filesystem::path ca, certificate, key;
};

class Context {
 public:
  /// The client must present a certificate that the CA signed, for clients. Warns in the log where the server's own has
  /// expired.
  static std::shared_ptr<const Context> for_server(const Files& files);
  /// The server must present a certificate that the CA signed, for the host that was asked for. Without `certificate` and `key`
  /// none is presented.
  static std::shared_ptr<const Context> for_client(const Files& files);

  ssl_ctx_st* get() const { return context_.get(); }

 private:
  explicit Context(std::shared_ptr<ssl_ctx_st> context) : context_(std::move(context)) {}
  std::shared_ptr<ssl_ctx_st> context_;
};

}  // namespace bulkhead::tls
