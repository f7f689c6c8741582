// Creates a container, pulling its image where it is missing. Shared by run and create.
#pragma once

#include <cstdio>
#include <string>
#include <vector>

#include "cli/api.h"
#include "cli/create_options.h"
#include "cli/progress.h"

namespace bulkhead::cli {

/// Returns the id. Warnings and the pull's progress go to standard error.
std::string create_container(Api& api, const CreateOptions& options, const std::vector<std::string>& arguments,
                             Attached attached);

/// Pulls, showing progress on `out`; returns the engine's last words ("Status: ...").
std::string pull_image(Api& api, const std::string& reference, const std::string& platform, FILE* out, Progress::Style style);

}  // namespace bulkhead::cli
