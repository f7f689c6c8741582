// How a difference names a process, and lists words. Pure.
#pragma once

#include <string>
#include <vector>

namespace bulkhead::facts {
class Process;
}

namespace bulkhead::engine {

/// "process 7 (sh)".
std::string title(const facts::Process& process);
/// "a, b"; "none".
std::string joined(const std::vector<std::string>& words);

}  // namespace bulkhead::engine
