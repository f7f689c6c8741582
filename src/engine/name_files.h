// The three files that tell a container its names: /etc/hosts, /etc/hostname, /etc/resolv.conf, with Docker's content. They
// live in the container's folder on the host and are bound into it.
#pragma once

#include <filesystem>

#include "engine/container.h"

namespace bulkhead::engine {

/// Writes `<folder>/{hosts,hostname,resolv.conf}` for a container that is about to start (endpoint known).
void write_name_files(const std::filesystem::path& folder, const Container& container);

}  // namespace bulkhead::engine
