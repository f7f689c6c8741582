#include "engine/isolation_default.h"

#include <fmt/format.h>

namespace bulkhead::engine {

IsolationDefault choose_default(const std::string& configured, const std::string& source, const host::HostFinding& host) {
  if (!configured.empty()) {
    return {.mode = configured, .because = "set by " + source, .host = host};
  }
  return {.mode = host.kind == host::HostKind::kWorkstation ? "hyperv" : "process",
          .because = fmt::format("this host is a {}", host::name(host.kind)),
          .host = host};
}

std::optional<std::string> isolation_warning(const IsolationDefault& defaults, const std::string& mode) {
  if (mode != "process" || defaults.host.kind != host::HostKind::kWorkstation) {
    return std::nullopt;
  }
  return "Process isolation on a workstation is for development and test: the container shares the kernel of the machine that "
         "people work on. --isolation=hyperv gives it its own.";
}

std::string default_remedies(const IsolationDefault& defaults) {
  return fmt::format(
      "{} isolation is the default here ({}), and is not replaced by a thinner wall. 'bulkhead doctor' says what would mend "
      "it; "
      "--isolation=process asks for process isolation for this container, \"exec-opts\": [\"isolation=process\"] in the "
      "engine's "
      "daemon.json for all",
      defaults.mode, defaults.because);
}

}  // namespace bulkhead::engine
