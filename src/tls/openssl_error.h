// OpenSSL's reasons as text. Used by this folder only.
#pragma once

#include <string>

namespace bulkhead::tls {

/// The thread's last error ("certificate verify failed"), which is taken off its queue.
std::string last_openssl_error();

}  // namespace bulkhead::tls
