// A distribution's kernel package (Debian's linux-image-*.deb), unpacked for the moment in which its kernel is added.
#pragma once

#include <filesystem>

#include "kernels/catalogue.h"

namespace bulkhead::kernels {

bool is_package(const std::filesystem::path& file);

/// Unpacks `file` into `folder`, which must not exist, by dpkg-deb(1), and says where the kernel, its configuration and its
/// modules lie in it. Blocks for seconds. Throws kNotSupported where there is no dpkg-deb, kInvalidArgument where the package
/// doesn't hold exactly one kernel.
KernelFiles unpack_package(const std::filesystem::path& file, const std::filesystem::path& folder);

}  // namespace bulkhead::kernels
