// Trying something out where it can do no harm: in a child process, most often with namespaces of its own. For programs of one
// thread (the command line): the child is a plain fork(2) and goes on as this program.
#pragma once

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "support/error.h"

namespace bulkhead::doctor {

constexpr std::chrono::seconds kTrialLimit{10};

/// Why a trial did not work.
struct Failure {
  std::string why;  // the error that was thrown, or what happened to the child
  ErrorCode code = ErrorCode::kInternal;
};

/// Runs `attempt` in a child. nullopt where it returned.
std::optional<Failure> try_in_child(const std::function<void()>& attempt, std::chrono::milliseconds limit = kTrialLimit);

/// "" where nothing failed. Where it was rights that were missing: how to get them, as no module and no other kernel gives any.
std::string remedy_of(const std::optional<Failure>& failure, std::string otherwise);
/// What it takes to have the rights that isolation needs.
std::string rights_remedy();

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
