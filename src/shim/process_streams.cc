#include "shim/process_streams.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "support/error.h"
#include "support/files.h"
#include "support/pipe.h"

namespace bulkhead::shim {

ProcessStreams::ProcessStreams(EventLoop& loop, const task::Stdio& stdio)
    : loop_(loop),
      in_uri_(parse_stream_uri(stdio.in)),
      out_uri_(parse_stream_uri(stdio.out)),
      err_uri_(parse_stream_uri(stdio.err)),
      terminal_(stdio.terminal) {
  if (in_uri_.target == StreamTarget::kJsonFile || err_uri_.target == StreamTarget::kJsonFile) {
    throw Error(ErrorCode::kInvalidArgument, "a json-file log is for standard output (and takes standard error with it)");
  }
  auto changed = [this] { schedule_update(); };
  if (out_uri_.target == StreamTarget::kFifo) {
    out_fifo_ = std::make_unique<FifoSink>(loop_, out_uri_.path, changed);
  }
  if (err_uri_.target == StreamTarget::kFifo && !terminal_) {
    err_fifo_ = std::make_unique<FifoSink>(loop_, err_uri_.path, changed);
  }
  if (in_uri_.target == StreamTarget::kFifo) {
    in_fifo_ = std::make_unique<FifoSource>(
        loop_, in_uri_.path, [this](std::string_view bytes) { in_->write(bytes); }, [this] { end_stdin(); });
  }
  if (out_uri_.target == StreamTarget::kJsonFile) {
    log_.emplace(out_uri_.path, JsonLog::Rotation{.max_size = out_uri_.max_size, .max_file = out_uri_.max_file});
  }
}

bool ProcessStreams::captures(StreamKind stream) const {
  if (out_uri_.target == StreamTarget::kJsonFile) {
    return true;
  }
  return (stream == StreamKind::kOut ? out_uri_ : err_uri_).target != StreamTarget::kNothing;
}

sandbox::ProcessIo ProcessStreams::make_pipes() {
  sandbox::ProcessIo io;
  if (in_uri_.target != StreamTarget::kNothing) {
    Pipe pipe;
    io.in = std::move(pipe.read);
    in_ = std::make_unique<InputStream>(loop_, std::move(pipe.write), [this] { schedule_update(); });
  }
  for (StreamKind kind : {StreamKind::kOut, StreamKind::kErr}) {
    if (captures(kind)) {
      Pipe pipe;
      (kind == StreamKind::kOut ? io.out : io.err) = std::move(pipe.write);
      add_output(kind, std::move(pipe.read));
    }
  }
  open_inputs();
  return io;
}

void ProcessStreams::use_console(int master) {
  // The other side is held too (ioctl_tty(2), TIOCGPTPEER), so that the terminal doesn't end for us when the process closes it
  // for a moment. Where that fails, the first EIO is the end.
  console_peer_.reset(::ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC));
  if (in_uri_.target != StreamTarget::kNothing) {
    in_ = std::make_unique<InputStream>(loop_, duplicate(master), [this] { schedule_update(); });
  }
  add_output(StreamKind::kOut, duplicate(master));  // read even where nobody wants it: the process would come to a halt
  open_inputs();
}

void ProcessStreams::add_output(StreamKind kind, UniqueFd fd) {
  outputs_.emplace_back(loop_, kind, std::move(fd),
                        [this](StreamKind stream, std::string_view bytes) { on_output(stream, bytes); });
}

void ProcessStreams::open_inputs() {
  if (stdin_ended_ && in_) {
    in_->close_when_written();
  }
  update();
}

void ProcessStreams::on_output(StreamKind stream, std::string_view bytes) {
  if (log_) {
    log_->write(stream, bytes, now());
  }
  FifoSink* fifo = stream == StreamKind::kOut ? out_fifo_.get() : err_fifo_.get();
  if (fifo != nullptr) {
    fifo->send(bytes);
  }
  for (AttachClient& client : clients_) {
    client.send(stream, bytes);
  }
}

void ProcessStreams::attach(UniqueFd socket, const task::AttachHeader& header) {
  if (finished_) {
    throw Error(ErrorCode::kConflict, "the process has ended: there is nothing to attach to");
  }
  std::string accepted = task::attach_accepted();
  if (::send(socket.get(), accepted.data(), accepted.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(accepted.size())) {
    return;  // the client has gone already
  }
  AttachClient::Events events{.input =
                                  [this](std::string_view bytes) {
                                    if (in_) {
                                      in_->write(bytes);
                                    }
                                  },
                              // A terminal has no end of input: its other users go on typing.
                              .input_ended =
                                  [this, closes = header.close_stdin_at_end && !terminal_] {
                                    if (closes) {
                                      end_stdin();
                                    }
                                  },
                              .changed = [this] { schedule_update(); }};
  clients_.emplace_back(loop_, std::move(socket), header, terminal_ ? Framing::kRaw : Framing::kFramed, std::move(events));
  update();
}

void ProcessStreams::close_stdin() {
  if (in_fifo_) {
    in_fifo_->close_writer();  // what is in the FIFO comes first
  } else {
    end_stdin();
  }
}

void ProcessStreams::end_stdin() {
  stdin_ended_ = true;
  if (in_) {
    in_->close_when_written();
  }
}

void ProcessStreams::schedule_update() {
  // Not at once: the caller may be inside a client that `update` would remove.
  if (update_posted_) {
    return;
  }
  update_posted_ = true;
  loop_.post([this, alive = std::weak_ptr<char>(alive_)] {
    if (!alive.expired()) {
      update_posted_ = false;
      update();
    }
  });
}

void ProcessStreams::update() {
  clients_.remove_if([](const AttachClient& client) { return client.gone(); });
  size_t behind = std::max(out_fifo_ ? out_fifo_->unsent() : 0, err_fifo_ ? err_fifo_->unsent() : 0);
  for (const AttachClient& client : clients_) {
    behind = std::max(behind, client.unsent());
  }
  for (OutputStream& output : outputs_) {
    output.set_paused(behind >= kMaxUnsent);
  }
  bool takes_input = in_ && in_->wants_more();
  // Where input has ended for good it is still read, and thrown away, so that its senders don't hang.
  bool reads_input = takes_input || stdin_ended_ || (in_ && !in_->open());
  for (AttachClient& client : clients_) {
    client.set_reads_input(reads_input);
  }
  if (in_fifo_) {
    in_fifo_->set_reads(takes_input);
  }
}

void ProcessStreams::finish() {
  if (finished_) {
    return;
  }
  finished_ = true;
  in_fifo_.reset();
  if (in_) {
    in_->close();
  }
  for (OutputStream& output : outputs_) {
    output.drain_and_close();
  }
  outputs_.clear();
  console_peer_.reset();
  if (log_) {
    log_->finish(StreamKind::kOut, now());
    log_->finish(StreamKind::kErr, now());
    log_.reset();
  }
  for (FifoSink* fifo : {out_fifo_.get(), err_fifo_.get()}) {
    if (fifo != nullptr) {
      fifo->finish();
    }
  }
  for (AttachClient& client : clients_) {
    client.finish();
  }
  update();
}

}  // namespace bulkhead::shim
