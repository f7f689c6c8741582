// The host's conversation with one VM's agent, in a thread of its own: streams flow while the shim does something else.
//
// Owned by the sandbox. `call`, `post` and construction: the shim's thread. Everything posted runs in the session's.
#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <future>
#include <memory>
#include <thread>

#include "agent/protocol/caller.h"
#include "agent/protocol/event_loop.h"
#include "support/unique_fd.h"

namespace bulkhead::sandbox::vm {

class AgentSession {
 public:
  explicit AgentSession(UniqueFd channel);
  ~AgentSession();
  AgentSession(const AgentSession&) = delete;
  AgentSession& operator=(const AgentSession&) = delete;

  /// Blocks until the answer, parsed into `response`. Throws the agent's error; kUnavailable where the VM is gone;
  /// kDeadlineExceeded: the agent hangs.
  void call(const char* method, const google::protobuf::MessageLite& request, google::protobuf::MessageLite& response,
            std::chrono::milliseconds timeout);
  void post(std::function<void()> task) { loop_.post(std::move(task)); }
  bool lost() const { return lost_; }
  /// Ends the thread and gives the channel away, for another session. Throws kConflict where an answer is awaited.
  UniqueFd release();
  /// Ends the thread. What was still awaited is answered with kUnavailable first. Nothing happens the second time.
  void stop();

  agent::EventLoop& loop() { return loop_; }
  /// In the session's thread only.
  agent::Caller& caller() { return *caller_; }

 private:
  agent::EventLoop loop_;
  std::atomic<bool> lost_ = false;
  std::unique_ptr<agent::Caller> caller_;
  std::thread thread_;
};

}  // namespace bulkhead::sandbox::vm
