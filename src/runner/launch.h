// Runs a Plan: clone3, the conversation with the child, its failures as Errors.
//
// Owned by the process sandbox. SECURITY: the kernel kills the child when the *thread* that launched it ends
// (PR_SET_PDEATHSIG): call from a thread that lives as long as the container may.
#pragma once

#include <sys/types.h>

#include <memory>
#include <optional>
#include <vector>

#include "linux/pidfd.h"
#include "oci/runtime_spec.h"
#include "runner/plan.h"
#include "support/unique_fd.h"

namespace bulkhead::runner {

struct LaunchOptions {
  std::vector<oci::IdMapping> uid_mappings, gid_mappings;  // of a new user namespace
  std::optional<int> oom_score_adj;
};

class Launched {
 public:
  pid_t pid() const { return pid_; }
  int pidfd() const { return pidfd_.get(); }
  /// The master side of the terminal; once.
  UniqueFd take_console() { return std::move(console_); }
  /// Of an init that waits and was planned to be `replaceable`: it will execute this instead. args and env alone are read.
  void replace_command(const oci::Process& process);
  /// Releases an init that waits, and blocks until it executes its command. Throws as `describe`; the child has then ended
  /// (and is still to be collected).
  void start();

 private:
  friend std::unique_ptr<Launched> launch(std::unique_ptr<Plan>, const LaunchOptions&);
  void configure(const LaunchOptions& options, bool user_namespace) const;
  void converse();  // until ready (init), or executed (exec, started init)

  std::unique_ptr<Plan> plan_;
  pid_t pid_ = 0;
  UniqueFd pidfd_, channel_, console_;
};

/// An init: returns once it is confined and waits for `start`. An exec: returns once it executes its command. Where that fails
/// the child has been collected.
std::unique_ptr<Launched> launch(std::unique_ptr<Plan> plan, const LaunchOptions& options);

}  // namespace bulkhead::runner
