#include "sandbox/vm/guest_process.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <utility>

#include "agent/protocol/agent.pb.h"
#include "agent/protocol/protocol.h"
#include "support/error.h"

namespace bulkhead::sandbox::vm {
namespace {

// What may be under way when a process ends: the guest's pipe, one chunk, our pipe. All of it fits a pipe of this size, so that
// the end of a process never waits for a slow reader.
constexpr int kRoomAtEnd = 256 << 10;

void make_non_blocking(int fd) {
  int flags = ::fcntl(fd, F_GETFL);
  if (flags < 0 || ::fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0) {
    throw system_error("make a stream non-blocking");
  }
}

/// SECURITY: what a guest says may be anything, and of any size that an answer can have.
archive::PathStat bounded(const agent::wire::PathStat& told) {
  archive::PathStat found{.name = told.name().substr(0, agent::kMaxPath),
                          .size = told.size(),
                          .mode = told.mode(),
                          .mtime = {},
                          .link_target = told.link_target().substr(0, agent::kMaxPath)};
  found.mtime.tv_sec = told.seconds();
  found.mtime.tv_nsec = static_cast<long>(told.nanoseconds() % 1'000'000'000U);
  return found;
}

}  // namespace

/// Asks for a chunk, writes it, asks for the next: the reader's pace is the guest's.
class GuestProcess::Output {
 public:
  Output(GuestProcess& process, agent::wire::Stream stream, UniqueFd fd)
      : process_(process), stream_(stream), fd_(std::move(fd)) {
    make_non_blocking(fd_.get());
  }

  void begin() {
    watch_ = process_.session_.loop().watch(fd_.get(), events_while_asking(), [this](short) { on_ready(); });
    ask();
  }
  bool ended() const { return !fd_; }
  /// Nothing more is read: the guest's writer finds that nobody does.
  void abandon() {
    if (fd_) {
      tell_inside();
      end();
    }
  }
  void make_room() {
    if (fd_) {
      ::fcntl(fd_.get(), F_SETPIPE_SZ, kRoomAtEnd);  // a socket has room enough
    }
  }

 private:
  void ask() {
    agent::wire::ReadRequest request;
    request.set_exec_id(process_.exec_id_);
    request.set_stream(stream_);
    process_.session_.caller().call("Read", request,
                                    [keep = process_.shared_from_this(), this](const agent::Answer& answer) { take(answer); });
  }

  void take(const agent::Answer& answer) {
    if (!fd_) {
      return;  // abandoned
    }
    agent::wire::ReadResponse response;
    try {
      answer.get(response);
    } catch (const Error&) {  // lost: how the process ended is told by Wait
      end();
      return;
    }
    // SECURITY: an agent that is not ours may send more; the chunk is bounded by the channel already.
    if (response.data().empty() || response.data().size() > agent::kMaxChunk) {
      end();
      return;
    }
    chunk_ = std::move(*response.mutable_data());
    written_ = 0;
    push();
  }

  void push() {
    while (written_ < chunk_.size()) {
      ssize_t count = ::write(fd_.get(), chunk_.data() + written_, chunk_.size() - written_);
      if (count < 0 && errno == EINTR) {
        continue;
      }
      if (count < 0 && errno == EAGAIN) {
        watch_.set_events(POLLOUT);
        return;
      }
      if (count < 0) {  // nobody reads any more: the rest is taken from the guest all the same
        if (process_.unread_ == Unread::kClose) {
          abandon();
          return;
        }
        break;
      }
      written_ += static_cast<size_t>(count);
    }
    watch_.set_events(events_while_asking());
    ask();
  }

  /// While the guest is silent: whether anybody still waits for what it may say.
  short events_while_asking() const { return process_.unread_ == Unread::kClose ? POLLRDHUP : 0; }

  void on_ready() {
    if (written_ < chunk_.size()) {
      push();
    } else {
      abandon();
    }
  }

  /// Nothing more is asked for after it.
  void tell_inside() {
    agent::wire::ProcessRequest request;
    request.set_exec_id(process_.exec_id_);
    process_.session_.caller().call("Close", request, [](const agent::Answer&) {});
  }

  void end() {
    watch_.reset();
    fd_.reset();
    process_.announce_if_done();
  }

  GuestProcess& process_;
  agent::wire::Stream stream_;
  UniqueFd fd_;
  std::string chunk_;
  size_t written_ = 0;
  agent::Watch watch_;
};

class GuestProcess::Input {
 public:
  Input(GuestProcess& process, UniqueFd fd) : process_(process), fd_(std::move(fd)) { make_non_blocking(fd_.get()); }

  void begin() {
    watch_ = process_.session_.loop().watch(fd_.get(), POLLIN, [this](short) { pull(); });
  }
  void end() {
    watch_.reset();
    fd_.reset();
  }

 private:
  void pull() {
    std::array<char, agent::kMaxChunk> bytes;
    ssize_t count = ::read(fd_.get(), bytes.data(), bytes.size());
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
      return;
    }
    agent::wire::WriteRequest request;
    request.set_exec_id(process_.exec_id_);
    if (count > 0) {
      request.set_data(bytes.data(), static_cast<size_t>(count));
      watch_.set_events(0);
    } else {
      request.set_end(true);
      end();
    }
    process_.session_.caller().call("Write", request, [keep = process_.shared_from_this(), this](const agent::Answer& answer) {
      if (answer.error) {
        end();
      } else if (fd_) {
        watch_.set_events(POLLIN);
      }
    });
  }

  GuestProcess& process_;
  UniqueFd fd_;
  agent::Watch watch_;
};

GuestProcess::GuestProcess(AgentSession& session, std::string exec_id, bool terminal, ProcessIo io, Unread unread)
    : session_(session),
      exec_id_(std::move(exec_id)),
      exited_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)),
      unread_(unread),
      has_terminal_(terminal) {
  if (!exited_) {
    throw system_error("make an eventfd");
  }
  started_.exit_descriptor = exited_.get();
  if (terminal) {
    int ends[2] = {-1, -1};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
      throw system_error("make a console's socket pair");
    }
    started_.console.reset(ends[0]);
    io.in.reset(ends[1]);
    ::setsockopt(io.in.get(), SOL_SOCKET, SO_SNDBUF, &kRoomAtEnd, sizeof(kRoomAtEnd));
    io.out.reset(::fcntl(io.in.get(), F_DUPFD_CLOEXEC, 3));
    io.err.reset();
  }
  has_input_ = io.in.valid();
  has_output_ = io.out.valid();
  has_error_ = io.err.valid();
  in_ = has_input_ ? std::make_unique<Input>(*this, std::move(io.in)) : nullptr;
  out_ = has_output_ ? std::make_unique<Output>(*this, agent::wire::STREAM_OUT, std::move(io.out)) : nullptr;
  err_ = has_error_ ? std::make_unique<Output>(*this, agent::wire::STREAM_ERR, std::move(io.err)) : nullptr;
}

GuestProcess::~GuestProcess() = default;

void GuestProcess::close() {
  in_.reset();
  out_.reset();
  err_.reset();
}

void GuestProcess::begin() {
  session_.post([keep = shared_from_this()] {
    agent::wire::ProcessRequest request;
    request.set_exec_id(keep->exec_id_);
    keep->session_.caller().call("Wait", request, [keep](const agent::Answer& answer) { keep->on_wait_answer(answer); });
    for (Output* output : {keep->out_.get(), keep->err_.get()}) {
      if (output != nullptr) {
        output->begin();
      }
    }
    if (keep->in_) {
      keep->in_->begin();
    }
  });
}

void GuestProcess::on_wait_answer(const agent::Answer& answer) {
  ExitStatus status{.code = 255, .time = now(), .error = {}};
  try {
    agent::wire::WaitResponse response;
    answer.get(response);
    status.code = response.code() & 0xff;
    status.out_of_memory = response.out_of_memory();
    found_ = bounded(response.files());
  } catch (const Error& error) {
    status.error = error.message();
    failure_ = error;
  }
  status_ = std::move(status);
  if (in_) {
    in_->end();
  }
  for (Output* output : {out_.get(), err_.get()}) {
    if (output != nullptr) {
      output->make_room();
    }
  }
  announce_if_done();
}

void GuestProcess::announce_if_done() {
  if (!status_ || (out_ && !out_->ended()) || (err_ && !err_->ended())) {
    return;
  }
  std::lock_guard lock(mutex_);
  if (!announced_) {
    announced_ = status_;
    uint64_t one = 1;
    [[maybe_unused]] auto written = ::write(exited_.get(), &one, sizeof(one));
  }
}

std::optional<ExitStatus> GuestProcess::exit() {
  std::lock_guard lock(mutex_);
  return announced_;
}

archive::PathStat GuestProcess::files() {
  std::lock_guard lock(mutex_);
  if (!announced_) {
    throw Error(ErrorCode::kConflict, "the work on files is not done");
  }
  if (failure_) {
    throw *failure_;  // NOLINT(cert-err09-cpp,cert-err61-cpp)
  }
  return found_;
}

void GuestProcess::abandon() {
  session_.post([keep = shared_from_this()] {
    if (keep->in_) {
      keep->in_->end();
    }
    if (keep->out_) {
      keep->out_->abandon();
    }
  });
}

}  // namespace bulkhead::sandbox::vm
