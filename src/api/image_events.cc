#include "api/image_events.h"

namespace bulkhead::api {

void publish_image_event(engine::Engine& engine, const std::string& action, const std::string& id, const std::string& name) {
  engine.events().publish({.type = "image", .action = action, .actor_id = id, .attributes = {{"name", name}}, .time = now()});
}

void publish_removals(engine::Engine& engine, const std::vector<image::Removal>& removals) {
  for (const image::Removal& removal : removals) {
    if (!removal.untagged.empty()) {
      publish_image_event(engine, "untag", removal.untagged, removal.untagged);
    }
    if (!removal.deleted.empty()) {
      publish_image_event(engine, "delete", removal.deleted, removal.deleted);
    }
  }
}

}  // namespace bulkhead::api
