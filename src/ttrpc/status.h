// How an `Error` crosses ttrpc: a gRPC status code that containerd's clients understand, the message, and the exact ErrorCode
// as a detail (an Any of our own type) so that our own client throws the same error again.
#pragma once

#include "support/error.h"

namespace bulkhead::ttrpc {

namespace wire {
class Status;
}

/// google.rpc.Code: those that are used here.
enum class GrpcCode : int {
  kOk = 0,
  kUnknown = 2,
  kInvalidArgument = 3,
  kDeadlineExceeded = 4,
  kNotFound = 5,
  kAlreadyExists = 6,
  kPermissionDenied = 7,
  kResourceExhausted = 8,
  kFailedPrecondition = 9,
  kUnimplemented = 12,
  kInternal = 13,
  kUnavailable = 14,
  kDataLoss = 15,
  kUnauthenticated = 16,
};

/// A name that is taken: a conflict that containerd's clients tell apart from a wrong state.
class AlreadyExists : public Error {
 public:
  explicit AlreadyExists(std::string message) : Error(ErrorCode::kConflict, std::move(message)) {}
};

GrpcCode grpc_code(const Error& error);
void to_status(const Error& error, wire::Status& status);
/// The error that a status with a code other than 0 says; the code from the detail where our own server sent it.
Error from_status(const wire::Status& status);

}  // namespace bulkhead::ttrpc
