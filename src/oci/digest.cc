#include "oci/digest.h"

#include <fmt/format.h>
#include <openssl/evp.h>

#include <algorithm>
#include <array>

#include "support/error.h"

namespace bulkhead::oci {
namespace {

constexpr std::string_view kSha256Prefix = "sha256:";
constexpr std::string_view kSha512Prefix = "sha512:";

bool is_lower_hex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }

/// nullptr where `text` is a digest, else what is wrong with it.
const char* defect(std::string_view text) {
  size_t colon = text.find(':');
  if (colon == std::string_view::npos || colon == 0 || colon + 1 == text.size()) {
    return "invalid checksum digest format";
  }
  size_t wanted = 0;
  if (text.starts_with(kSha256Prefix)) {
    wanted = 64;
  } else if (text.starts_with(kSha512Prefix)) {
    wanted = 128;
  } else {
    return "unsupported digest algorithm";
  }
  std::string_view hex = text.substr(colon + 1);
  if (hex.size() != wanted) {
    return "invalid checksum digest length";
  }
  // SECURITY: the hex becomes a file name; upper case would give one content two names.
  return std::all_of(hex.begin(), hex.end(), is_lower_hex) ? nullptr : "invalid checksum digest format";
}

[[noreturn]] void openssl_failed() { throw Error(ErrorCode::kInternal, "hash: OpenSSL refused"); }

}  // namespace

Digest Digest::parse(std::string_view text) {
  if (const char* reason = defect(text); reason != nullptr) {
    throw Error(ErrorCode::kInvalidArgument, reason);
  }
  return Digest(std::string(text));
}

std::optional<Digest> Digest::try_parse(std::string_view text) {
  if (defect(text) != nullptr) {
    return std::nullopt;
  }
  return Digest(std::string(text));
}

std::string_view Digest::hex() const { return std::string_view(text_).substr(text_.find(':') + 1); }

DigestAlgorithm Digest::algorithm() const {
  return text_.starts_with(kSha256Prefix) ? DigestAlgorithm::kSha256 : DigestAlgorithm::kSha512;
}

void Hasher::Free::operator()(evp_md_ctx_st* context) const { EVP_MD_CTX_free(context); }

Hasher::Hasher(DigestAlgorithm algorithm) : context_(EVP_MD_CTX_new()), algorithm_(algorithm) {
  const EVP_MD* method = algorithm == DigestAlgorithm::kSha256 ? EVP_sha256() : EVP_sha512();
  if (!context_ || EVP_DigestInit_ex(context_.get(), method, nullptr) != 1) {
    openssl_failed();
  }
}

Hasher::Hasher(Hasher&&) noexcept = default;
Hasher& Hasher::operator=(Hasher&&) noexcept = default;
Hasher::~Hasher() = default;

void Hasher::update(std::string_view bytes) {
  if (EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) != 1) {
    openssl_failed();
  }
}

Digest Hasher::finish() {
  std::array<unsigned char, EVP_MAX_MD_SIZE> raw{};
  unsigned int size = 0;
  if (EVP_DigestFinal_ex(context_.get(), raw.data(), &size) != 1) {
    openssl_failed();
  }
  std::string text(algorithm_ == DigestAlgorithm::kSha256 ? kSha256Prefix : kSha512Prefix);
  constexpr std::string_view kDigits = "0123456789abcdef";
  for (size_t i = 0; i < size; ++i) {
    text += kDigits[raw.at(i) >> 4U];
    text += kDigits[raw.at(i) & 15U];
  }
  return Digest(std::move(text));
}

Digest Hasher::of(std::string_view bytes, DigestAlgorithm algorithm) {
  Hasher hasher(algorithm);
  hasher.update(bytes);
  return hasher.finish();
}

}  // namespace bulkhead::oci
