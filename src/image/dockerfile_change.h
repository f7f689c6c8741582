// Dockerfile instructions that change an image's configuration, as `docker import --change` and `docker commit --change` take
// them. Pure.
#pragma once

#include <string>
#include <string_view>

#include "image/image.h"

namespace bulkhead::image {

/// "CMD [\"bash\"]", "ENV A=b C=\"d e\"", ... Throws kInvalidArgument in Docker's words where it is none of those allowed.
void apply_change(std::string_view instruction, ProcessDefaults& config);

}  // namespace bulkhead::image
