// What brings version 1 controllers that are not mounted. Pure.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

namespace bulkhead::doctor {

/// `proc_cgroups`: the text of /proc/cgroups (cgroups(7)), which says whether the kernel has a controller, and whether its
/// command line disables it. `root`: the folder that the others are mounted in.
std::string remedy_of_missing(const std::vector<std::string_view>& controllers, std::string_view proc_cgroups,
                              const std::filesystem::path& root);

}  // namespace bulkhead::doctor
