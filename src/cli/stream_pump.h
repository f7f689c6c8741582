// Moves bytes between an attached container and this process's standard streams until the container's side ends. One thread,
// poll(2): neither side can block the other. Signals are handled between the bytes.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>

#include "cli/detach_keys.h"
#include "cli/frame_reader.h"
#include "cli/terminal.h"
#include "http/client.h"

namespace bulkhead::cli {

/// Raw: one stream, of a terminal. Frames: standard output and error apart.
enum class StreamFormat { kRaw, kFrames };

struct Wiring {
  StreamFormat format = StreamFormat::kRaw;
  int in = -1;             // -1: nothing is sent
  int out = -1, err = -1;  // -1: thrown away
};

class StreamPump {
 public:
  StreamPump(http::Upgraded stream, Wiring wiring, DetachWatcher detach);
  StreamPump(const StreamPump&) = delete;
  StreamPump& operator=(const StreamPump&) = delete;

  enum class Then { kContinue, kStop };
  using OnSignal = std::function<Then(int)>;
  /// Until the container's side closes and everything is written, or a signal says stop. Throws where a standard stream can't
  /// be written.
  void run(SignalSource& signals, const OnSignal& on_signal);
  /// Whether the stream ended after the user typed the detach keys.
  bool detached() const { return detach_.seen(); }
  /// Why the stream ended otherwise than by the engine's word, where that can be known (TLS); else "".
  std::string failure() const { return stream_.relay ? stream_.relay->failure() : ""; }

 private:
  struct Output {
    int fd = -1;
    std::string waiting;
    size_t piece = 0;  // what one write may take without blocking
  };
  void receive();
  void accept(std::string_view bytes);
  void read_input();
  void send_input();
  void write_output(Output& output);
  void end_input();

  http::Upgraded stream_;
  Wiring wiring_;
  DetachWatcher detach_;
  Output out_, err_;
  FrameReader frames_;
  std::string to_send_, buffer_;
  bool input_open_, input_ended_ = false, stream_open_ = true;
};

}  // namespace bulkhead::cli
