// The agent's ends of one process's streams: output is read only when the host has asked for a chunk (its credit), input is
// written as the process takes it.
//
// Owned by the agent's record of the process; the loop's thread.
#pragma once

#include <optional>
#include <string>

#include "agent/protocol/event_loop.h"
#include "agent/protocol/server.h"
#include "support/unique_fd.h"

namespace bulkhead::agent {

/// A pipe's reading side or a terminal's master.
class OutputStream {
 public:
  OutputStream(EventLoop& loop, UniqueFd fd);

  /// Answers with the next chunk once there is one. kConflict where a request waits already.
  void read(const Reply& reply);
  /// The process has ended: what is there is still read, then comes the end, whoever else holds the other side open.
  void process_ended();
  /// Nobody reads it any more, before it goes: a request that waits is told of an end.
  void give_up();
  /// The end was told.
  bool ended() const { return ended_; }

 private:
  bool try_answer();

  UniqueFd fd_;
  bool draining_ = false;
  bool ended_ = false;
  std::optional<Reply> waiting_;
  Watch watch_;
};

/// A pipe's writing side or a terminal's master.
class InputStream {
 public:
  enum class AtEnd { kClose, kKeep };  // kKeep: a terminal has no end

  InputStream(EventLoop& loop, UniqueFd fd, AtEnd at_end);

  /// Answers once all of it is written, or the process reads no more.
  void write(std::string data, bool end, const Reply& reply);

 private:
  void push();
  void finish();

  UniqueFd fd_;
  AtEnd at_end_;
  std::string data_;
  size_t written_ = 0;
  bool end_ = false;
  std::optional<Reply> waiting_;
  Watch watch_;
};

}  // namespace bulkhead::agent
