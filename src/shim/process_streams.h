// One process's standard streams, from before it starts until after it ended: pipes or terminal on one side; log, attach
// clients and FIFOs on the other. A reader that is a megabyte behind pauses the process's output.
#pragma once

#include <list>
#include <memory>
#include <optional>
#include <string>

#include "sandbox/sandbox.h"
#include "shim/attach_client.h"
#include "shim/event_loop.h"
#include "shim/fifo.h"
#include "shim/input_stream.h"
#include "shim/json_log.h"
#include "shim/output_stream.h"
#include "shim/stdio_uri.h"
#include "task/client.h"

namespace bulkhead::shim {

class ProcessStreams {
 public:
  /// Opens log and FIFOs. Throws naming what can't be opened.
  ProcessStreams(EventLoop& loop, const task::Stdio& stdio);
  ProcessStreams(const ProcessStreams&) = delete;
  ProcessStreams& operator=(const ProcessStreams&) = delete;

  /// The process's ends of new pipes (invalid where it gets /dev/null), ours being served from now on. Not with a terminal.
  sandbox::ProcessIo make_pipes();
  /// Serves the terminal whose master side the sandbox keeps.
  void use_console(int master);
  /// Agrees with an attach client, which then gets all output from now on.
  void attach(UniqueFd socket, const task::AttachHeader& header);
  /// Standard input ends once what was sent is read.
  void close_stdin();
  /// The process has ended: hands on what its pipes hold, then closes log and clients. What slow clients still have to read
  /// is sent by and by.
  void finish();
  /// No attach client waits for more. (A FIFO's client may never come back: it isn't awaited.)
  bool all_sent() const { return clients_.empty(); }

 private:
  void end_stdin();
  bool captures(StreamKind stream) const;
  void open_inputs();
  void add_output(StreamKind kind, UniqueFd fd);
  void on_output(StreamKind stream, std::string_view bytes);
  void schedule_update();
  void update();

  EventLoop& loop_;
  StreamUri in_uri_, out_uri_, err_uri_;
  std::shared_ptr<char> alive_ = std::make_shared<char>();  // for tasks posted to the loop
  std::optional<JsonLog> log_;
  std::unique_ptr<FifoSink> out_fifo_, err_fifo_;
  std::unique_ptr<FifoSource> in_fifo_;
  UniqueFd console_peer_;
  std::unique_ptr<InputStream> in_;
  std::list<AttachClient> clients_;
  std::list<OutputStream> outputs_;
  bool terminal_;
  bool finished_ = false;
  bool update_posted_ = false;
  bool stdin_ended_ = false;
};

}  // namespace bulkhead::shim
