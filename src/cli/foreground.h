// Starts a container with this process's streams attached to it, and stays until it ends. Shared by run and start.
#pragma once

#include <string>

#include "cli/api.h"
#include "cli/container_stream.h"

namespace bulkhead::cli {

struct Foreground {
  std::string id;
  Terminal terminal = Terminal::kNo;
  bool in = false, out = true, err = true;
  bool auto_remove = false;  // the engine removes it when it ended
  SignalProxy proxy = SignalProxy::kForward;
  std::string detach_keys;
};

/// The container's exit code; 0 where the user detached. Throws where the engine fails, but for a start that fails: that is
/// printed, and docker's code for it returned.
int run_in_foreground(Api& api, const Foreground& what);

/// Reads the answer of POST /containers/x/wait. Why a container was lost (its VM, its shim) is printed.
int exit_code_of_wait(http::Connection& connection);

}  // namespace bulkhead::cli
