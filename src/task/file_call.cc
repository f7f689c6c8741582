#include "task/file_call.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <string>

#include "support/descriptor_passing.h"
#include "support/error.h"
#include "task/file_line.h"
#include "task/protocol.h"
#include "ttrpc/client.h"

namespace bulkhead::task {
namespace {

// Longer than a shim waits for its guest, as it can say more of that.
constexpr std::chrono::seconds kAnswerPatience{45};
constexpr std::chrono::seconds kStreamPatience{60};

UniqueFd connect_to(const std::filesystem::path& bundle) {
  try {
    return ttrpc::connect_unix(bundle / kAttachSocket);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kNotFound) {
      throw Error(ErrorCode::kUnavailable, "the container has ended meanwhile: " + error.message());
    }
    throw;
  }
}

/// The line and the descriptor in one message.
void send_with(int connection, const std::string& line, int descriptor) {
  // A fresh socket takes a short line whole.
  if (send_with_descriptors(connection, line, {&descriptor, descriptor >= 0 ? 1U : 0U}) != static_cast<ssize_t>(line.size())) {
    throw system_error("ask a shim about files");
  }
}

}  // namespace

FileCall::FileCall(const std::filesystem::path& bundle, const archive::FileRequest& request, std::vector<Interrupt> interrupts)
    : connection_(connect_to(bundle)),
      interrupts_(std::move(interrupts)),
      patience_(request.kind == archive::FileRequest::Kind::kStat ? kAnswerPatience : kStreamPatience) {
  UniqueFd theirs;
  if (request.kind != archive::FileRequest::Kind::kStat) {
    std::array<int, 2> ends{-1, -1};
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends.data()) != 0) {
      throw system_error("make a stream for an archive");
    }
    stream_.reset(ends[0]);
    theirs.reset(ends[1]);
  }
  send_with(connection_.get(), to_line(request), theirs.get());
}

void FileCall::wait(int descriptor, short events) const {
  using Clock = std::chrono::steady_clock;
  std::vector<pollfd> polled{{descriptor, events, 0}};
  for (const Interrupt& each : interrupts_) {
    polled.push_back({each.descriptor, each.events, 0});
  }
  auto deadline = Clock::now() + patience_;
  for (;;) {
    auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    int count = ::poll(polled.data(), polled.size(), static_cast<int>(std::max<int64_t>(left, 0)));
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count < 0) {
      throw system_error("wait for a container's files");
    }
    if (count == 0) {
      throw Error(ErrorCode::kDeadlineExceeded,
                  fmt::format("the container's files can't be reached: nothing moved for {} s", patience_.count()));
    }
    for (size_t i = 0; i < interrupts_.size(); ++i) {
      if (polled[i + 1].revents != 0 && (interrupts_[i].when == Interrupt::When::kAtOnce || polled[0].revents == 0)) {
        throw interrupts_[i].error;  // NOLINT(cert-err09-cpp,cert-err61-cpp)
      }
    }
    return;
  }
}

size_t FileCall::read(char* buffer, size_t size) {
  for (;;) {
    wait(stream_.get(), POLLIN);
    ssize_t count = ::recv(stream_.get(), buffer, size, MSG_DONTWAIT);
    if (count >= 0) {
      return static_cast<size_t>(count);
    }
    if (errno != EINTR && errno != EAGAIN) {
      return 0;  // broken: `finish` knows why
    }
  }
}

bool FileCall::write(std::string_view bytes) {
  while (!bytes.empty()) {
    wait(stream_.get(), POLLOUT);
    ssize_t count = ::send(stream_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (count >= 0) {
      bytes.remove_prefix(static_cast<size_t>(count));
    } else if (errno != EINTR && errno != EAGAIN) {
      return false;
    }
  }
  return true;
}

void FileCall::end_stream() { ::shutdown(stream_.get(), SHUT_WR); }

archive::PathStat FileCall::finish() {
  std::string line;
  std::array<char, 4096> part{};
  for (;;) {
    wait(connection_.get(), POLLIN);
    ssize_t count = ::recv(connection_.get(), part.data(), part.size(), MSG_DONTWAIT);
    if (count < 0 && (errno == EINTR || errno == EAGAIN)) {
      continue;
    }
    if (count <= 0) {
      break;
    }
    line.append(part.data(), static_cast<size_t>(count));
    if (line.size() > kMaxFileLine) {
      throw Error(ErrorCode::kDataLoss, "the shim's answer about files is too long");
    }
  }
  if (!line.ends_with('\n')) {
    throw Error(ErrorCode::kUnavailable, "the container ended while its files were copied");
  }
  return parse_file_answer(line);
}

}  // namespace bulkhead::task
