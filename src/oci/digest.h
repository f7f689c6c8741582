// Content digests (OCI image-spec, descriptor.md "Digests") and the incremental hash that makes them. Pure computation.
// A `Digest` is a value; a `Hasher` belongs to one thread.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

struct evp_md_ctx_st;

namespace bulkhead::oci {

enum class DigestAlgorithm { kSha256, kSha512 };

/// "sha256:<64 hex>" or "sha512:<128 hex>", lower case: always valid, so its hex may be used as a file name.
class Digest {
 public:
  /// Throws kInvalidArgument "invalid checksum digest length", "... format" or "unsupported digest algorithm" (Docker's words).
  static Digest parse(std::string_view text);
  static std::optional<Digest> try_parse(std::string_view text);

  const std::string& text() const { return text_; }
  std::string_view hex() const;
  DigestAlgorithm algorithm() const;
  /// The first twelve hex digits, as Docker shows an id.
  std::string short_id() const { return std::string(hex().substr(0, 12)); }

  friend bool operator==(const Digest& a, const Digest& b) { return a.text_ == b.text_; }
  friend bool operator!=(const Digest& a, const Digest& b) { return a.text_ != b.text_; }

 private:
  friend class Hasher;
  explicit Digest(std::string text) : text_(std::move(text)) {}
  std::string text_;
};

class Hasher {
 public:
  explicit Hasher(DigestAlgorithm algorithm = DigestAlgorithm::kSha256);
  Hasher(Hasher&&) noexcept;
  Hasher& operator=(Hasher&&) noexcept;
  ~Hasher();

  void update(std::string_view bytes);
  /// Ends the hash: the object must not be used afterwards.
  Digest finish();

  static Digest of(std::string_view bytes, DigestAlgorithm algorithm = DigestAlgorithm::kSha256);

 private:
  struct Free {
    void operator()(evp_md_ctx_st* context) const;
  };
  std::unique_ptr<evp_md_ctx_st, Free> context_;
  DigestAlgorithm algorithm_;
};

}  // namespace bulkhead::oci
