#include "engine/container.h"

namespace bulkhead::engine {

std::string_view name(Status status) {
  switch (status) {
    case Status::kCreated:
    case Status::kStarting: return "created";
    case Status::kRunning: return "running";
    case Status::kPaused: return "paused";
    case Status::kRestarting: return "restarting";
    case Status::kExited: return "exited";
    case Status::kRemoving: return "removing";
    case Status::kDead: return "dead";
  }
  return "dead";
}

}  // namespace bulkhead::engine
