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
/// Bytes of the files below a folder, each counted once; 0 where there is no such folder.
int64_t tree_size(const std::filesystem::path& folder);

}  // namespace bulkhead::api
