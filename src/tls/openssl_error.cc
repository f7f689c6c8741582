#include "tls/openssl_error.h"

#include <openssl/err.h>

#include <cerrno>
#include <cstring>

namespace bulkhead::tls {

std::string last_openssl_error() {
  unsigned long code = ERR_peek_last_error();
  ERR_clear_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  return reason == nullptr ? "it is none" : reason;
}

}  // namespace bulkhead::tls
