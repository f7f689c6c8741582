// The name that policy knows a TLS client by: the common name of its certificate's subject, as Docker's authorization plugins
// have it (`User`, with `UserAuthNMethod: TLS`). Alternative names are those of hosts, and name nobody here.
#pragma once

#include <string>

struct x509_st;

namespace bulkhead::tls {

constexpr size_t kLongestName = 256;  // bytes of UTF-8

/// "" where the subject has no common name. Throws kPermissionDenied where it is no name to decide by: several, longer than
/// `kLongestName`, no valid UTF-8, or with a control character (NUL among them) in it.
std::string common_name(const x509_st& certificate);

}  // namespace bulkhead::tls
