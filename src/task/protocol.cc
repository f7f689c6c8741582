#include "task/protocol.h"

#include "google/protobuf/timestamp.pb.h"

namespace bulkhead::task {

void to_timestamp(TimePoint time, google::protobuf::Timestamp& out) {
  auto seconds = std::chrono::floor<std::chrono::seconds>(time);
  out.set_seconds(seconds.time_since_epoch().count());
  out.set_nanos(static_cast<int32_t>((time - seconds).count()));
}

TimePoint from_timestamp(const google::protobuf::Timestamp& timestamp) {
  return TimePoint(std::chrono::seconds(timestamp.seconds()) + std::chrono::nanoseconds(timestamp.nanos()));
}

}  // namespace bulkhead::task
