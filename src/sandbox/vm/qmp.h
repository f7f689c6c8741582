// QEMU's machine protocol over a connected socket: one command at a time, each with a deadline.
//
// One thread. SECURITY: QEMU may be in the guest's hands: lines are bounded, nothing but what is asked for is taken from them.
#pragma once

#include <chrono>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "support/unique_fd.h"

namespace bulkhead::sandbox::vm {

/// Cuts bytes into lines, parses them strictly; split out for tests and fuzzing.
class QmpReader {
 public:
  /// Throws kDataLoss where a line grows over a megabyte.
  void feed(std::string_view bytes);
  /// The next message, a JSON object; kDataLoss where a line is none.
  std::optional<nlohmann::json> next();
  bool empty() const { return buffer_.empty(); }

 private:
  std::string buffer_;
};

struct QmpCommand {
  const char* name;
  nlohmann::json arguments;
  int file = -1;  // handed to QEMU with it ("getfd", "add-fd")
};

class Qmp {
 public:
  /// Reads the greeting and leaves negotiation mode.
  Qmp(UniqueFd socket, std::chrono::milliseconds timeout);

  /// A socket whose greeting another Qmp has read and released.
  static Qmp adopt(UniqueFd socket, std::chrono::milliseconds timeout);
  /// The socket again, for another Qmp. Throws kConflict where half a message was read.
  UniqueFd release();
  void set_timeout(std::chrono::milliseconds timeout) { timeout_ = timeout; }

  /// The command's "return". Throws kInternal with QEMU's words, kUnavailable where QEMU is gone, kDeadlineExceeded.
  nlohmann::json execute(const char* command, const nlohmann::json& arguments);
  nlohmann::json execute(const char* command);
  /// Hands QEMU a descriptor with the next command ("getfd", "add-fd").
  nlohmann::json execute_with_fd(const char* command, const nlohmann::json& arguments, int fd);
  /// All of them, sent at once. Throws for the first that failed; the others were still tried.
  void execute_all(const std::vector<QmpCommand>& commands);
  /// Why the machine ended, of the events that came so far: "guest-reset", "guest-shutdown" ...; empty: it didn't say.
  std::string shutdown_reason();

 private:
  Qmp() = default;
  nlohmann::json receive(std::chrono::steady_clock::time_point deadline);
  nlohmann::json await_return(const char* command);
  void send(const std::string& line, int fd);
  void note_event(const nlohmann::json& message);

  UniqueFd socket_;
  std::chrono::milliseconds timeout_{};
  QmpReader reader_;
  std::string shutdown_reason_;
};

}  // namespace bulkhead::sandbox::vm
