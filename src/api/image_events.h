// What happened to images, for GET /events.
#pragma once

#include <string>
#include <vector>

#include "engine/engine.h"
#include "image/image_store.h"

namespace bulkhead::api {

/// `id` is the image's, or the reference for "pull", as in Docker.
void publish_image_event(engine::Engine& engine, const std::string& action, const std::string& id, const std::string& name);
/// "untag" and "delete".
void publish_removals(engine::Engine& engine, const std::vector<image::Removal>& removals);

}  // namespace bulkhead::api
