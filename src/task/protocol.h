// Names that the shim and its clients must say alike.
#pragma once

#include <string_view>

#include "support/time.h"

namespace google::protobuf {
class Timestamp;
}

namespace bulkhead::task {

inline constexpr const char* kTaskService = "containerd.task.v2.Task";

/// Our own, beside it: "Measure" takes a facts::MeasureRequest and is answered with a facts::Wall. "Discard" takes and is
/// answered with nothing: see sandbox::Sandbox::discard.
inline constexpr const char* kWallService = "org.bulkhead.Wall";

/// Type urls of JSON documents inside an Any, as containerd's clients write them.
inline constexpr const char* kProcessType = "types.containerd.io/opencontainers/runtime-spec/1/Process";
inline constexpr const char* kResourcesType = "types.containerd.io/opencontainers/runtime-spec/1/LinuxResources";
/// Our own: a JSON object with the fields of sandbox::Statistics.
inline constexpr const char* kStatisticsType = "bulkhead.org/Statistics";

/// Files of a bundle.
inline constexpr const char* kAttachSocket = "attach.sock";
inline constexpr const char* kTaskSocket = "shim.sock";
inline constexpr const char* kAddressFile = "address";  // containerd reads it when it restarts
inline constexpr const char* kExitFile = "exit.json";
inline constexpr const char* kStateFolder = "sandbox";

void to_timestamp(TimePoint time, google::protobuf::Timestamp& out);
TimePoint from_timestamp(const google::protobuf::Timestamp& timestamp);

}  // namespace bulkhead::task
