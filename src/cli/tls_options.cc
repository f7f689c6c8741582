#include "cli/tls_options.h"

#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>

#include "support/error.h"

namespace bulkhead::cli {
namespace {

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::filesystem::path usual_folder() {
  for (const char* name : {"DOCKER_CERT_PATH", "DOCKER_CONFIG"}) {
    if (std::string folder = variable(name); !folder.empty()) {
      return folder;
    }
  }
  return std::filesystem::path(variable("HOME")) / ".docker";
}

std::filesystem::path usual_if_there(const std::filesystem::path& folder, const char* name) {
  return std::filesystem::exists(folder / name) ? folder / name : std::filesystem::path();
}

}  // namespace

std::optional<tls::Files> tls_files(const TlsOptions& options, const std::string& host) {
  bool verify = options.verify.value_or(!variable("DOCKER_TLS_VERIFY").empty());
  bool tls = verify || options.tls.value_or(!variable("DOCKER_TLS").empty());
  bool has_files = !options.ca.empty() || !options.certificate.empty() || !options.key.empty();
  bool asked_here = options.verify.value_or(false) || options.tls.value_or(false) || has_files;
  if (!host.starts_with("tcp://")) {
    if (asked_here) {
      throw Error(ErrorCode::kInvalidArgument,
                  fmt::format("TLS is spoken over TCP, and the engine is at '{}': name another with "
                              "--host tcp://address:port, or leave out the --tls options",
                              host));
    }
    return std::nullopt;  // variables are for whatever host is used: docker does the same
  }
  if (!verify && (tls || has_files)) {
    // SECURITY: who isn't verified could be anybody, and would be given all that is sent.
    throw Error(ErrorCode::kInvalidArgument,
                "TLS without --tlsverify would speak to anybody who answers: add --tlsverify (or DOCKER_TLS_VERIFY=1)");
  }
  if (!verify) {
    return std::nullopt;
  }
  std::filesystem::path folder = usual_folder();
  tls::Files files{.ca = options.ca.empty() ? folder / "ca.pem" : std::filesystem::path(options.ca),
                   .certificate = options.certificate,
                   .key = options.key};
  if (options.certificate.empty() && options.key.empty()) {
    files.certificate = usual_if_there(folder, "cert.pem");
    files.key = usual_if_there(folder, "key.pem");
  }
  if (files.certificate.empty() != files.key.empty()) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("there is a {} without a {}: name both with --tlscert and --tlskey",
                            files.key.empty() ? "certificate" : "key", files.key.empty() ? "key" : "certificate"));
  }
  return files;
}

}  // namespace bulkhead::cli
