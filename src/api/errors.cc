#include "api/errors.h"

#include <array>
#include <string_view>

#include "http/server_connection.h"

namespace bulkhead::api {
namespace {

template <size_t count>
bool contains_any(std::string_view text, const std::array<std::string_view, count>& words) {
  for (std::string_view word : words) {
    if (text.find(word) != std::string_view::npos) {
      return true;
    }
  }
  return false;
}

}  // namespace

int status_of(const Error& error) {
  if (const auto* with_status = dynamic_cast<const http::StatusError*>(&error)) {
    return with_status->status();
  }
  switch (error.code()) {
    case ErrorCode::kInvalidArgument:
    case ErrorCode::kCannotExecute:
    case ErrorCode::kCommandNotFound: return 400;
    case ErrorCode::kUnauthenticated: return 401;
    case ErrorCode::kPermissionDenied: return 403;
    case ErrorCode::kNotFound: return 404;
    case ErrorCode::kConflict: return 409;
    case ErrorCode::kAlreadyDone: return 304;
    case ErrorCode::kNotSupported: return 501;
    case ErrorCode::kUnavailable: return 503;
    case ErrorCode::kDeadlineExceeded: return 504;
    case ErrorCode::kResourceExhausted: return 507;
    case ErrorCode::kDataLoss:
    case ErrorCode::kInternal: return 500;
  }
  return 500;
}

std::string message_of(const Error& error) {
  static constexpr std::array<std::string_view, 2> kNotFoundWords = {"executable file not found", "no such file or directory"};
  // "is a directory" and "exec format error" are known to newer clients only, or to none.
  static constexpr std::array<std::string_view, 1> kNotExecutableWords = {"permission denied"};
  if (error.code() == ErrorCode::kCommandNotFound && !contains_any(error.message(), kNotFoundWords)) {
    return error.message() + ": executable file not found";
  }
  if (error.code() == ErrorCode::kCannotExecute && !contains_any(error.message(), kNotExecutableWords)) {
    return error.message() + ": permission denied";
  }
  return error.message();
}

}  // namespace bulkhead::api
