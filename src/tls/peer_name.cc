#include "tls/peer_name.h"

#include <fmt/format.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/x509.h>

#include <string_view>

#include "support/error.h"

namespace bulkhead::tls {
namespace {

[[noreturn]] void refuse(std::string_view why) {
  throw Error(
      ErrorCode::kPermissionDenied,
      fmt::format("the common name of the client's certificate {}: use a certificate with one plain name of at most {} bytes",
                  why, kLongestName));
}

/// C0, DEL, and C1 (U+0080 to U+009F, in UTF-8 C2 80 to C2 9F).
bool has_control_character(std::string_view text) {
  for (size_t i = 0; i < text.size(); ++i) {
    auto letter = static_cast<unsigned char>(text[i]);
    bool second_of_c1 = i > 0 && static_cast<unsigned char>(text[i - 1]) == 0xC2 && letter >= 0x80 && letter < 0xA0;
    if (letter < 0x20 || letter == 0x7F || second_of_c1) {
      return true;
    }
  }
  return false;
}

}  // namespace

std::string common_name(const x509_st& certificate) {
  const X509_NAME* subject = X509_get_subject_name(&certificate);
  int place = X509_NAME_get_index_by_NID(subject, NID_commonName, -1);
  if (place < 0) {
    return "";
  }
  // SECURITY: of two names one reader takes the first, another the last (Go does): nobody may choose which.
  if (X509_NAME_get_index_by_NID(subject, NID_commonName, place) >= 0) {
    refuse("is there more than once");
  }
  unsigned char* bytes = nullptr;
  int size = ASN1_STRING_to_UTF8(&bytes, X509_NAME_ENTRY_get_data(X509_NAME_get_entry(subject, place)));
  if (size < 0) {
    ERR_clear_error();
    refuse("is no text");
  }
  // SECURITY: with its length: a NUL within must not make "admin\0.evil" an "admin".
  std::string name(reinterpret_cast<const char*>(bytes), static_cast<size_t>(size));
  OPENSSL_free(bytes);
  if (name.size() > kLongestName) {
    refuse("is too long");
  }
  if (has_control_character(name)) {
    refuse("has a control character in it");
  }
  return name;
}

}  // namespace bulkhead::tls
