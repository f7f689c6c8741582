#include "support/error.h"

#include <array>
#include <cstring>

namespace bulkhead {

std::string_view name(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalidArgument: return "invalid_argument";
    case ErrorCode::kNotFound: return "not_found";
    case ErrorCode::kConflict: return "conflict";
    case ErrorCode::kAlreadyDone: return "already_done";
    case ErrorCode::kPermissionDenied: return "permission_denied";
    case ErrorCode::kUnauthenticated: return "unauthenticated";
    case ErrorCode::kNotSupported: return "not_supported";
    case ErrorCode::kUnavailable: return "unavailable";
    case ErrorCode::kDeadlineExceeded: return "deadline_exceeded";
    case ErrorCode::kResourceExhausted: return "resource_exhausted";
    case ErrorCode::kDataLoss: return "data_loss";
    case ErrorCode::kCannotExecute: return "cannot_execute";
    case ErrorCode::kCommandNotFound: return "command_not_found";
    case ErrorCode::kInternal: return "internal";
  }
  return "internal";
}

ErrorCode code_of_errno(int error_number) {
  switch (error_number) {
    case ENOENT:
    case ESRCH: return ErrorCode::kNotFound;
    case EEXIST:
    case EBUSY: return ErrorCode::kConflict;
    case EACCES:
    case EPERM: return ErrorCode::kPermissionDenied;
    case ENOSPC:
    case EDQUOT:
    case ENOMEM:
    case EMFILE:
    case ENFILE: return ErrorCode::kResourceExhausted;
    case EINVAL:
    case ENAMETOOLONG: return ErrorCode::kInvalidArgument;
    case ENOSYS:
    case EOPNOTSUPP: return ErrorCode::kNotSupported;
    case ETIMEDOUT: return ErrorCode::kDeadlineExceeded;
    case ECONNREFUSED:
    case ECONNRESET:
    case EPIPE: return ErrorCode::kUnavailable;
    default: return ErrorCode::kInternal;
  }
}

Error system_error(std::string_view doing, int error_number) {
  std::array<char, 128> text{};
  // The GNU strerror_r may return a static string instead of filling the buffer (strerror(3)).
  const char* reason = strerror_r(error_number, text.data(), text.size());
  return {code_of_errno(error_number), std::string(doing) + ": " + reason};
}

}  // namespace bulkhead
