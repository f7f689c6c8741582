// A policy as it lies on the disk: its file, and the seccomp profiles that it names. Read alike by the engine and by `bulkhead
// policy check`. Any thread; blocks on the disk.
//
// SECURITY: a file that others than root (or whoever reads it) may write is refused.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "policy/policy.h"

namespace bulkhead::policy {

/// Throws kInvalidArgument "`file`:line:column: ..."; where there is no file, or no regular one, what is wrong with it.
Policy read_policy(const std::filesystem::path& file);
/// The text of each profile by its path. Throws kInvalidArgument with the place that names the profile.
std::map<std::string, std::string> read_profiles(const Policy& policy);

}  // namespace bulkhead::policy
