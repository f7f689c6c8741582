// What run, start, attach and exec share: wiring a raw stream of the engine to this process, with raw mode, resizing and
// signals. Used by the main thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "cli/api.h"
#include "cli/stream_pump.h"
#include "cli/terminal.h"
#include "support/error.h"

namespace bulkhead::cli {

enum class Terminal { kYes, kNo };           // whether the far side has one
enum class SignalProxy { kForward, kKeep };  // whether signals of this process go to the container

/// Where resizes and signals go.
struct StreamTarget {
  std::string resize_path;  // "/containers/x/resize"
  std::string kill_path;    // "" : signals are not forwarded
};

class ContainerStream {
 public:
  /// Blocks signals from here on, so that none is lost before `run`.
  ContainerStream(Api& api, StreamTarget target, Terminal terminal, SignalProxy proxy);

  /// Pumps until the far side ends. Raw mode lasts until the return.
  enum class End { kClosed, kDetached };
  End run(http::Upgraded stream, Wiring wiring, const std::string& detach_keys);
  /// Waits for an answer's bytes on `connection` while signals are still passed on.
  void wait_for(http::Connection& connection);
  /// Tells the far side this terminal's size, if there is one.
  void resize();

 private:
  StreamPump::Then on_signal(int number);

  Api& api_;
  StreamTarget target_;
  Terminal terminal_;
  SignalProxy proxy_;
  SignalSource signals_;
  int ended_by_ = 0;  // the signal that ends this process
};

/// Whether a terminal is asked for with an input that is none; and that as an error, in docker's words.
bool lacks_terminal(Terminal terminal, int in);
Error lacks_terminal_error();
void require_terminal(Terminal terminal, int in);
/// [rows, columns] of this terminal, for ConsoleSize; nullopt without one.
std::optional<WindowSize> console_size();

}  // namespace bulkhead::cli
