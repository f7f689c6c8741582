// The one error type of the project.
//
// Whoever fails throws `Error` with a message that names the object ("mount overlay on '/x'"); whoever calls may add what
// it was doing with `wrap`. Nobody logs an error that it also throws. Tables in api/, shim/ and cli/ map `ErrorCode` to
// HTTP status, ttrpc status and exit code.
#pragma once

#include <cerrno>
#include <exception>
#include <string>
#include <string_view>

namespace bulkhead {

enum class ErrorCode {
  kInvalidArgument,    // the request can't be right, whatever the state: HTTP 400
  kNotFound,           // the named object does not exist: 404
  kConflict,           // the object's state forbids it (name in use, container running): 409
  kAlreadyDone,        // nothing to do (start of a running container): 304
  kPermissionDenied,   // policy or the kernel said no: 403
  kUnauthenticated,    // a registry wants other credentials: 401
  kNotSupported,       // a feature or option that isn't there, or can't be on this host: 501 or 400
  kUnavailable,        // a peer (registry, shim, guest) can't be reached or broke off: 503
  kDeadlineExceeded,   // a peer was too slow: 504
  kResourceExhausted,  // disk, memory, addresses, pids: 507
  kDataLoss,           // what arrived or is stored fails verification: 500
  kCannotExecute,      // the container's command exists but can't be run: exit code 126
  kCommandNotFound,    // the container's command doesn't exist: exit code 127
  kInternal,           // a bug or an unexpected system failure: 500
};

/// The code's lower-case name, for logs and JSON: "not_found".
std::string_view name(ErrorCode code);

class Error : public std::exception {
 public:
  Error(ErrorCode code, std::string message) : code_(code), message_(std::move(message)) {}

  ErrorCode code() const noexcept { return code_; }
  const std::string& message() const noexcept { return message_; }
  const char* what() const noexcept override { return message_.c_str(); }

  /// The same error with `doing` in front: "pull 'x': ...". Keeps the code.
  Error wrap(std::string_view doing) const { return {code_, std::string(doing) + ": " + message_}; }

 private:
  ErrorCode code_;
  std::string message_;
};

/// An error from a system call: message "`doing`: strerror", code chosen from errno (ENOENT -> kNotFound, EEXIST and EBUSY ->
/// kConflict, EACCES and EPERM -> kPermissionDenied, ENOSPC, EDQUOT, ENOMEM, EMFILE -> kResourceExhausted, EINVAL ->
/// kInvalidArgument, ENOSYS and EOPNOTSUPP -> kNotSupported, ETIMEDOUT -> kDeadlineExceeded, ECONNREFUSED, EPIPE,
/// ECONNRESET -> kUnavailable, else kInternal).
Error system_error(std::string_view doing, int error_number = errno);

/// The code that `system_error` picks for an errno.
ErrorCode code_of_errno(int error_number);

}  // namespace bulkhead
