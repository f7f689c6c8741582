// Whether and how the engine is spoken to with TLS, by docker's options and variables: DOCKER_TLS_VERIFY, DOCKER_TLS,
// DOCKER_CERT_PATH (else DOCKER_CONFIG, else ~/.docker) with ca.pem, cert.pem and key.pem in it.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "tls/context.h"

namespace bulkhead::cli {

struct TlsOptions {
  std::optional<bool> tls, verify;   // --tls, --tlsverify
  std::string ca, certificate, key;  // --tlscacert, --tlscert, --tlskey; "": the usual places
};

/// The files to use towards `host`; nullopt: no TLS. Throws kInvalidArgument where the options ask for TLS and can't have it.
std::optional<tls::Files> tls_files(const TlsOptions& options, const std::string& host);

}  // namespace bulkhead::cli
