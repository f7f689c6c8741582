// The device nodes that are there, as an OCI spec names them.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "oci/runtime_spec.h"

namespace bulkhead::linux {

/// nullopt where `path` is no device node; `inside` is the path it shall have in the container.
std::optional<oci::Device> device_at(const std::filesystem::path& path, const std::string& inside);
/// All below a folder but those that every container has of its own (terminals, shared memory). What vanishes meanwhile is left
/// out.
std::vector<oci::Device> devices_under(const std::filesystem::path& folder, const std::string& inside);

}  // namespace bulkhead::linux
