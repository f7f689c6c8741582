// Runs one of the host's programs (ps, mkfs.erofs, the shim) to its end and keeps what it said. Blocks.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace bulkhead {

struct Command {
  std::filesystem::path program;       // searched in PATH where it has no '/'
  std::vector<std::string> arguments;  // argv, beginning with the program's name
  std::filesystem::path folder;        // to run in; empty: ours
};

struct CommandOutcome {
  int wait_status = 0;  // waitpid(2)
  std::string out, err;

  bool succeeded() const { return wait_status == 0; }
  /// For an error message: what it said on its standard error, or how it ended.
  std::string complaint() const;
};

/// Standard input is /dev/null, the environment a PATH alone, no signal is blocked or ignored. Throws where the program can't
/// be run (kNotFound: it isn't there) or says more than 16 MiB; how it ended is the caller's affair.
CommandOutcome run_command(const Command& command);

}  // namespace bulkhead
