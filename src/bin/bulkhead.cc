// The command line: a client of the Engine API. See src/cli.
#include <string>
#include <vector>

#include "cli/application.h"

int main(int argc, char** argv) {
  // execve(2) may pass no argument at all, not even the name.
  return bulkhead::cli::run_application(argc > 1 ? std::vector<std::string>(argv + 1, argv + argc)
                                                 : std::vector<std::string>());
}
