// What a create request leaves open, taken from the image, and else as Docker has it: command, environment, names, namespaces,
// protected paths. Thread-safe; reads the host's name and /sys.
#pragma once

#include "engine/container.h"
#include "image/image.h"

namespace bulkhead::engine {

/// Throws kInvalidArgument where that leaves no container that could run: no command, a host name that can't be.
void fill_in(Container& container, const image::ProcessDefaults& of_image);

}  // namespace bulkhead::engine
