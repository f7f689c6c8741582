// Images as the API shows them. Pure functions.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <utility>
#include <vector>

#include "image/image.h"

namespace bulkhead::api {

/// `minor`: of the API version; older clients are told of names that aren't there.
nlohmann::json image_summary(const image::Image& image, int minor);
nlohmann::json image_details(const image::Image& image, int minor);
nlohmann::json image_history(const image::Image& image);
/// Chain id and bytes on the disk of each layer, bottom first.
std::vector<std::pair<std::string, int64_t>> layer_sizes(const image::Image& image);
/// Seconds since 1970; 0 where the image doesn't say.
int64_t created_seconds(const std::string& rfc3339_text);

}  // namespace bulkhead::api
