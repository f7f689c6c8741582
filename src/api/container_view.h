// Containers as the API shows them: the short form of lists and the long one of inspect. Pure functions of the record, but for
// the sizes, which are counted on the disk.
#pragma once

#include <filesystem>
#include <nlohmann/json_fwd.hpp>
#include <vector>

#include "engine/container.h"
#include "image/image.h"
#include "support/time.h"

namespace bulkhead::api {

nlohmann::json container_summary(const engine::Container& container, TimePoint now);
nlohmann::json container_details(const engine::Container& container);
/// Adds SizeRw and SizeRootFs.
void add_sizes(nlohmann::json& view, const engine::Container& container, const std::vector<image::Image>& images);
/// Bytes that the container wrote: of its files, each counted once, or what its disk takes.
int64_t written_size(const engine::Container& container);

}  // namespace bulkhead::api
