// Trying something out where it can do no harm: in a child process, most often with namespaces of its own. For programs of one
// thread (the command line): the child is a plain fork(2) and goes on as this program.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace bulkhead::doctor {

constexpr std::chrono::seconds kTrialLimit{10};

/// Runs `attempt` in a child. nullopt where it returned, else the error that it threw, or what happened to the child.
std::optional<std::string> try_in_child(const std::function<void()>& attempt, std::chrono::milliseconds limit = kTrialLimit);

/// unshare(2), with mounts made private so that nothing gets out.
void enter_namespaces(int flags);

struct ProgramResult {
  int code = -1;       // -1: it did not end by itself in time
  std::string output;  // standard output and error, at most 64 KiB
};
/// Runs the program (an absolute path, then its arguments) with an empty environment and no input.
ProgramResult run_program(std::vector<std::string> command, std::chrono::milliseconds limit = kTrialLimit);

/// The first of these that can be executed, or "". SECURITY: absolute paths; $PATH is never searched, the caller may be root.
std::string find_program(const std::vector<std::string>& paths);

}  // namespace bulkhead::doctor
