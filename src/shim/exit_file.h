// <bundle>/exit.json: how the container's init ended, for an engine that wasn't there.
#pragma once

#include <filesystem>

#include "sandbox/sandbox.h"

namespace bulkhead::shim {

/// {"code", "time", "out_of_memory", "error"}, replaced whole.
void write_exit_file(const std::filesystem::path& bundle, const sandbox::ExitStatus& status);

}  // namespace bulkhead::shim
