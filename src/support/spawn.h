// Starts one of the host's programs (posix_spawn(3)). Blocks until it is executed, not until it ends: the caller waits for
// that. Thread-safe.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <vector>

namespace bulkhead {

struct SpawnRequest {
  enum class Session { kCallers, kOwn };            // setsid(2)
  enum class Environment { kPathAlone, kCallers };  // environ(7)
  enum class Descriptors { kNotClosedOnExec, kStreamsAlone };

  std::filesystem::path program;       // searched in PATH where it has no '/'
  std::vector<std::string> arguments;  // argv, beginning with the program's name
  std::filesystem::path folder;        // to run in; empty: ours
  int in = -1;                         // its standard streams, borrowed; -1: /dev/null
  int out = -1;
  int err = -1;
  Session session = Session::kCallers;
  Environment environment = Environment::kPathAlone;
  Descriptors descriptors = Descriptors::kNotClosedOnExec;  // what it has open
};

/// No signal is blocked or ignored in it. Throws where the program can't be run (kNotFound: it isn't there).
pid_t spawn(const SpawnRequest& request);

}  // namespace bulkhead
