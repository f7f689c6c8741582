// The `bulkhead` command line from the first word to the exit code.
#pragma once

#include <string>
#include <vector>

namespace bulkhead::cli {

/// `words` without the program's name. Prints errors to standard error; never throws.
int run_application(std::vector<std::string> words);

}  // namespace bulkhead::cli
