#include "tls/socket_bio.h"

#include <openssl/bio.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstdint>
#include <memory>

#include "support/error.h"

namespace bulkhead::tls {
namespace {

int descriptor_of(BIO* bio) { return static_cast<int>(reinterpret_cast<intptr_t>(BIO_get_data(bio))); }
bool is_temporary(int error_number) { return error_number == EAGAIN || error_number == EINTR; }

// What fails returns -1: 0 is the other side's end for reading, and nothing at all for writing. SSL_shutdown(3) would take a
// close_notify for sent whose write returned 0.
int write_socket(BIO* bio, const char* data, size_t size, size_t* written) {
  BIO_clear_retry_flags(bio);
  ssize_t count = ::send(descriptor_of(bio), data, size, MSG_NOSIGNAL);
  if (count < 0) {
    if (is_temporary(errno)) {
      BIO_set_retry_write(bio);
    }
    return -1;
  }
  *written = static_cast<size_t>(count);
  return 1;
}

int read_socket(BIO* bio, char* data, size_t size, size_t* read) {
  BIO_clear_retry_flags(bio);
  ssize_t count = ::recv(descriptor_of(bio), data, size, 0);
  if (count <= 0) {
    if (count < 0 && is_temporary(errno)) {
      BIO_set_retry_read(bio);
    }
    return count == 0 ? 0 : -1;
  }
  *read = static_cast<size_t>(count);
  return 1;
}

long control(BIO* /*bio*/, int command, long /*number*/, void* /*pointer*/) { return command == BIO_CTRL_FLUSH ? 1 : 0; }

BIO_METHOD* make_method() {
  BIO_METHOD* method = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "socket without signals");
  if (method == nullptr || BIO_meth_set_write_ex(method, write_socket) != 1 || BIO_meth_set_read_ex(method, read_socket) != 1 ||
      BIO_meth_set_ctrl(method, control) != 1) {
    throw Error(ErrorCode::kResourceExhausted, "set TLS up: out of memory");
  }
  return method;
}

}  // namespace

bio_st* new_socket_bio(int descriptor) {
  static BIO_METHOD* const kMethod = make_method();  // for as long as the process lives
  BIO* bio = BIO_new(kMethod);
  if (bio == nullptr) {
    throw Error(ErrorCode::kResourceExhausted, "set TLS up: out of memory");
  }
  // NOLINTNEXTLINE(performance-no-int-to-ptr): all that OpenSSL keeps for a BIO is a pointer
  BIO_set_data(bio, reinterpret_cast<void*>(static_cast<intptr_t>(descriptor)));
  BIO_set_init(bio, 1);
  return bio;
}

}  // namespace bulkhead::tls
