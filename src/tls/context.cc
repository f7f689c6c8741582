#include "tls/context.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <sys/stat.h>

#include <string>
#include <string_view>

#include "support/error.h"
#include "support/files.h"
#include "support/log.h"
#include "tls/openssl_error.h"

namespace bulkhead::tls {
namespace {

constexpr size_t kMostBytes = 1UL << 20;

using Bio = std::unique_ptr<BIO, decltype(&BIO_free)>;
using Certificate = std::unique_ptr<X509, decltype(&X509_free)>;
using Key = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;

Error invalid(std::string message) { return {ErrorCode::kInvalidArgument, std::move(message)}; }

Bio memory(const std::string& text) { return {BIO_new_mem_buf(text.data(), static_cast<int>(text.size())), BIO_free}; }

/// Instead of OpenSSL's own, which would ask at the terminal.
int no_passphrase(char* /*buffer*/, int /*size*/, int /*writing*/, void* asked) {
  *static_cast<bool*>(asked) = true;
  return -1;
}

Certificate next_certificate(BIO* bio) {
  bool asked = false;
  return {PEM_read_bio_X509(bio, nullptr, no_passphrase, &asked), X509_free};
}

/// Whether a file of certificates was read to its end, and not just to its first mistake.
bool at_the_end() {
  unsigned long last = ERR_peek_last_error();
  ERR_clear_error();
  return ERR_GET_LIB(last) == ERR_LIB_PEM && ERR_GET_REASON(last) == PEM_R_NO_START_LINE;
}

std::string read_pem(const std::filesystem::path& file, std::string_view option) {
  try {
    return read_file(file, kMostBytes);
  } catch (const Error& error) {
    throw error.wrap(fmt::format("the file of {}", option));
  }
}

void trust(SSL_CTX* context, const std::filesystem::path& file) {
  std::string text = read_pem(file, "--tlscacert");
  Bio bio = memory(text);
  X509_STORE* store = SSL_CTX_get_cert_store(context);
  size_t count = 0;
  for (Certificate found = next_certificate(bio.get()); found; found = next_certificate(bio.get())) {
    X509_STORE_add_cert(store, found.get());
    ++count;
  }
  if (!at_the_end() || count == 0) {
    throw invalid(fmt::format("CA certificates '{}': {}; name a PEM file ('-----BEGIN CERTIFICATE-----') with --tlscacert",
                              file.native(), count == 0 ? "no certificate is in it" : "a certificate in it can't be read"));
  }
  // As dockerd has it: each certificate of the file is trusted for itself, an intermediate one too.
  X509_STORE_set_flags(store, X509_V_FLAG_PARTIAL_CHAIN);
}

void present(SSL_CTX* context, const std::filesystem::path& file) {
  std::string text = read_pem(file, "--tlscert");
  Bio bio = memory(text);
  Certificate own = next_certificate(bio.get());
  if (!own || SSL_CTX_use_certificate(context, own.get()) != 1) {
    throw invalid(fmt::format("certificate '{}': {}; name a PEM file with --tlscert", file.native(), last_openssl_error()));
  }
  if (X509_cmp_current_time(X509_get0_notAfter(own.get())) < 0) {
    log::warn("certificate '{}' has expired: the other side will refuse it; make a new one", file.native());
  }
  for (Certificate link = next_certificate(bio.get()); link; link = next_certificate(bio.get())) {
    SSL_CTX_add1_chain_cert(context, link.get());
  }
  if (!at_the_end()) {
    throw invalid(fmt::format("certificate '{}': one of the certificates after the first can't be read", file.native()));
  }
}

// SECURITY: whoever reads the key can be this side. Reading by a group is Debian's custom (ssl-cert), reading by all is a
// mistake.
std::string read_key(const std::filesystem::path& file) {
  UniqueFd descriptor = open_file(file, O_RDONLY | O_NONBLOCK);
  struct stat status {};
  if (::fstat(descriptor.get(), &status) != 0) {
    throw system_error(fmt::format("key '{}'", file.native()));
  }
  if (!S_ISREG(status.st_mode)) {
    throw invalid(fmt::format("key '{}' is no regular file", file.native()));
  }
  if ((status.st_mode & (S_IRWXO | S_IWGRP)) != 0) {
    throw Error(
        ErrorCode::kPermissionDenied,
        fmt::format("key '{0}' may be read or changed by others (mode {1:04o}): 'chmod 600 {0}', and make a new one where "
                    "others were on this host",
                    file.native(), status.st_mode & 07777));
  }
  return read_all(descriptor.get(), kMostBytes);
}

void use_key(SSL_CTX* context, const Files& files) {
  std::string text = read_key(files.key);
  Bio bio = memory(text);
  bool encrypted = false;
  Key key(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, &encrypted), EVP_PKEY_free);
  OPENSSL_cleanse(text.data(), text.size());
  if (encrypted) {
    throw invalid(
        fmt::format("key '{0}' is locked by a passphrase: 'openssl pkey -in {0} -out FILE' takes it off", files.key.native()));
  }
  if (!key || SSL_CTX_use_PrivateKey(context, key.get()) != 1 || SSL_CTX_check_private_key(context) != 1) {
    throw invalid(fmt::format("key '{}': {}; it has to be a PEM file, and the key of the certificate '{}'", files.key.native(),
                              last_openssl_error(), files.certificate.native()));
  }
}

std::shared_ptr<SSL_CTX> new_context(const SSL_METHOD* method) {
  std::shared_ptr<SSL_CTX> context(SSL_CTX_new(method), SSL_CTX_free);
  // SECURITY: forward secrecy and authenticated encryption only (RFC 9325, section 4); TLS 1.3 has no other suites. The level
  // refuses keys and signatures of less than 112 bits.
  if (!context || SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION) != 1 ||
      SSL_CTX_set_cipher_list(context.get(), "ECDHE+AESGCM:ECDHE+CHACHA20") != 1) {
    throw Error(ErrorCode::kInternal, "set TLS up: " + last_openssl_error());
  }
  SSL_CTX_set_security_level(context.get(), 2);
  // SECURITY: a resumed session would not be asked for its certificate again.
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  SSL_CTX_set_num_tickets(context.get(), 0);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_mode(context.get(),
                   SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER | SSL_MODE_RELEASE_BUFFERS);
  return context;
}

}  // namespace

std::shared_ptr<const Context> Context::for_server(const Files& files) {
  auto context = new_context(TLS_server_method());
  trust(context.get(), files.ca);
  present(context.get(), files.certificate);
  use_key(context.get(), files);
  // SECURITY: no certificate, no connection. A certificate for servers only (extended key usage) is none of a client.
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  return std::shared_ptr<const Context>(new Context(std::move(context)));
}

std::shared_ptr<const Context> Context::for_client(const Files& files) {
  auto context = new_context(TLS_client_method());
  trust(context.get(), files.ca);
  if (!files.certificate.empty()) {
    present(context.get(), files.certificate);
    use_key(context.get(), files);
  }
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER, nullptr);
  return std::shared_ptr<const Context>(new Context(std::move(context)));
}

}  // namespace bulkhead::tls
