// One process in a guest as the host sees it, or work on the container's files there: its streams carried to and from the
// shim's descriptors, its end announced by a descriptor.
//
// Shared by the sandbox (shim's thread) and the session's thread; what both touch is said below.
#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "agent/protocol/caller.h"
#include "agent/protocol/event_loop.h"
#include "sandbox/sandbox.h"
#include "sandbox/vm/agent_session.h"
#include "support/error.h"
#include "support/unique_fd.h"

namespace bulkhead::sandbox::vm {

class GuestProcess : public std::enable_shared_from_this<GuestProcess> {
 public:
  /// What of an output is done with that nobody reads here any more.
  enum class Unread { kDrop, kClose };  // kClose: who writes it in the guest is told, and ends

  /// With `terminal`, `io` is not used and `started().console` is one end of a socket pair.
  GuestProcess(AgentSession& session, std::string exec_id, bool terminal, ProcessIo io, Unread unread = Unread::kDrop);
  ~GuestProcess();

  StartedProcess& started() { return started_; }
  bool has_terminal() const { return has_terminal_; }
  bool has_input() const { return has_input_; }
  bool has_output() const { return has_output_; }
  bool has_error() const { return has_error_; }

  /// Shim's thread, once the agent knows this process: streams flow from now on.
  void begin();
  /// Shim's thread, once the session has stopped and before it goes: closes the streams.
  void close();
  /// Any thread: how it ended, once `started().exit_descriptor` is readable.
  std::optional<ExitStatus> exit();
  /// The same for work on files: what is at the path, or throws why it failed.
  archive::PathStat files();
  /// Shim's thread: the streams end on this side; the guest hears of it.
  void abandon();

 private:
  class Output;
  class Input;

  void on_wait_answer(const agent::Answer& answer);
  void announce_if_done();

  AgentSession& session_;
  std::string exec_id_;
  StartedProcess started_;
  UniqueFd exited_;  // eventfd
  Unread unread_;
  bool has_terminal_ = false, has_input_ = false, has_output_ = false, has_error_ = false;

  // The session's thread only.
  std::unique_ptr<Input> in_;
  std::unique_ptr<Output> out_, err_;
  std::optional<ExitStatus> status_;
  std::optional<Error> failure_;
  archive::PathStat found_;

  std::mutex mutex_;
  std::optional<ExitStatus> announced_;
};

}  // namespace bulkhead::sandbox::vm
