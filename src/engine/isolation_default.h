// Which mode a container gets that asks for none, and how that was found. Pure.
//
// What is asked for counts before the policy, the policy before what is configured, and that before the kind of host: a server
// defaults to process isolation, a workstation to hyperv, as Windows has it.
#pragma once

#include <optional>
#include <string>

#include "host/host_kind.h"

namespace bulkhead::engine {

struct IsolationDefault {
  std::string mode;     // "process", "hyperv"
  std::string because;  // "set by --exec-opt", "this host is a server"
  host::HostFinding host;
};

/// `configured`: "process", "hyperv" or ""; `source`: where that was.
IsolationDefault choose_default(const std::string& configured, const std::string& source, const host::HostFinding& host);

/// What a client is told that gets a container in this mode, if anything.
std::optional<std::string> isolation_warning(const IsolationDefault& defaults, const std::string& mode);

/// Added to the error where the default mode can't be made here: it is not replaced by a thinner wall, and here are the ways
/// out.
std::string default_remedies(const IsolationDefault& defaults);

}  // namespace bulkhead::engine
