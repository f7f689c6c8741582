#include "ttrpc/status.h"

#include <array>

#include "ttrpc/ttrpc.pb.h"

namespace bulkhead::ttrpc {
namespace {

constexpr std::string_view kErrorCodeType = "bulkhead.org/ErrorCode";

struct Row {
  ErrorCode code;
  GrpcCode grpc;
};

// A command that can't be run is "unknown", as containerd's own shim says it: "not found" would mean the task itself.
constexpr std::array<Row, 14> kTable{{
    {ErrorCode::kInvalidArgument, GrpcCode::kInvalidArgument},
    {ErrorCode::kNotFound, GrpcCode::kNotFound},
    {ErrorCode::kConflict, GrpcCode::kFailedPrecondition},
    {ErrorCode::kAlreadyDone, GrpcCode::kFailedPrecondition},
    {ErrorCode::kPermissionDenied, GrpcCode::kPermissionDenied},
    {ErrorCode::kUnauthenticated, GrpcCode::kUnauthenticated},
    {ErrorCode::kNotSupported, GrpcCode::kUnimplemented},
    {ErrorCode::kUnavailable, GrpcCode::kUnavailable},
    {ErrorCode::kDeadlineExceeded, GrpcCode::kDeadlineExceeded},
    {ErrorCode::kResourceExhausted, GrpcCode::kResourceExhausted},
    {ErrorCode::kDataLoss, GrpcCode::kDataLoss},
    {ErrorCode::kCannotExecute, GrpcCode::kUnknown},
    {ErrorCode::kCommandNotFound, GrpcCode::kUnknown},
    {ErrorCode::kInternal, GrpcCode::kInternal},
}};

}  // namespace

GrpcCode grpc_code(const Error& error) {
  if (dynamic_cast<const AlreadyExists*>(&error) != nullptr) {
    return GrpcCode::kAlreadyExists;
  }
  for (const Row& row : kTable) {
    if (row.code == error.code()) {
      return row.grpc;
    }
  }
  return GrpcCode::kInternal;
}

void to_status(const Error& error, wire::Status& status) {
  status.set_code(static_cast<int>(grpc_code(error)));
  status.set_message(error.message());
  auto* detail = status.add_details();
  detail->set_type_url(std::string(kErrorCodeType));
  detail->set_value(std::string(name(error.code())));
}

Error from_status(const wire::Status& status) {
  for (const auto& detail : status.details()) {
    if (detail.type_url() != kErrorCodeType) {
      continue;
    }
    for (const Row& row : kTable) {
      if (name(row.code) == detail.value()) {
        return {row.code, status.message()};
      }
    }
  }
  auto grpc = static_cast<GrpcCode>(status.code());
  if (grpc == GrpcCode::kAlreadyExists) {
    return {ErrorCode::kConflict, status.message()};
  }
  for (const Row& row : kTable) {
    if (row.grpc == grpc && grpc != GrpcCode::kUnknown) {
      return {row.code, status.message()};
    }
  }
  return {ErrorCode::kInternal, status.message()};
}

}  // namespace bulkhead::ttrpc
