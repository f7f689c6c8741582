// OpenSSL's way to a socket: as its own (BIO_s_socket), but a write to a connection that has gone raises no SIGPIPE, which
// would end the command line. Used by session.cc.
#pragma once

struct bio_st;

namespace bulkhead::tls {

/// Owned by whoever calls (or by the SSL it is given to). The descriptor stays the caller's, and has to be non-blocking.
bio_st* new_socket_bio(int descriptor);

}  // namespace bulkhead::tls
