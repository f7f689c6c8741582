// How the API is served over TCP: dockerd's directives tls, tlsverify, tlscacert, tlscert and tlskey, of the command line and
// of `daemon.json`. Pure. Throws kInvalidArgument naming the directive.
#pragma once

#include <optional>
#include <string>

namespace bulkhead::settings {

struct TlsSettings {
  std::optional<bool> tls, verify;
  std::string ca, certificate, key;  // paths; "": not set
};

/// Adds what the command line says. Throws where both set the same, as dockerd does: neither is more right.
void add_tls_options(TlsSettings& settings, const TlsSettings& options);

/// Whether clients are verified, or there is no TLS at all: nothing lies between.
/// SECURITY: TLS that verifies nobody lets everybody in who reaches the port, as root: refused, as is half a set of files.
bool verifies_clients(const TlsSettings& settings);

}  // namespace bulkhead::settings
