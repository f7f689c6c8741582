// Errors for people: one line that says what failed and what to do about it.
#pragma once

#include <string>
#include <string_view>

#include "support/error.h"

namespace bulkhead::cli {

/// The message on one line, with a way out where there is a usual one. `verb`: the verb that failed, or "".
std::string error_text(const Error& error, std::string_view verb);

/// Docker's exit code for a container that could not start: 126 where its command can't be run, 127 where there is none, 125
/// for everything else.
int exit_code_of_start_error(const Error& error);

}  // namespace bulkhead::cli
