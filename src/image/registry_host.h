// What is allowed towards one registry host: plain HTTP, unverified TLS, its own certificates. Pure policy; thread-safe.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace bulkhead::image {

/// 127.0.0.0/8, ::1 or "localhost"; `host` may carry a port.
bool is_loopback_host(std::string_view host);

class RegistryPolicy {
 public:
  /// `insecure`: "host", "host:port", or a CIDR ("10.0.0.0/8") that literal addresses are matched with. Throws
  /// kInvalidArgument.
  RegistryPolicy(std::vector<std::string> insecure, std::filesystem::path certificates);

  /// Plain HTTP, and TLS without verification, may be used: loopback, or configured.
  bool is_insecure(std::string_view host_port) const;

  struct Certificates {
    std::string authorities;  // PEM, of all *.crt
    std::filesystem::path client_certificate, client_key;
  };
  /// What `<certificates>/<host:port>/` holds (as in /etc/docker/certs.d). Throws kInvalidArgument where a client certificate
  /// has no key.
  Certificates certificates(std::string_view host_port) const;

 private:
  std::vector<std::string> insecure_;
  std::filesystem::path certificates_;
};

}  // namespace bulkhead::image
