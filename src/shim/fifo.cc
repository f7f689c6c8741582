#include "shim/fifo.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/epoll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>

#include "support/error.h"
#include "support/files.h"

namespace bulkhead::shim {
namespace {

UniqueFd open_fifo(const std::filesystem::path& path, int flags) {
  UniqueFd fd = open_file(path, flags | O_NONBLOCK | O_NOCTTY);
  struct stat status {};
  if (::fstat(fd.get(), &status) != 0 || !S_ISFIFO(status.st_mode)) {
    throw Error(ErrorCode::kInvalidArgument, fmt::format("stream '{}' is no FIFO", path.native()));
  }
  return fd;
}

}  // namespace

FifoSink::FifoSink(EventLoop& loop, const std::filesystem::path& path, std::function<void()> on_change)
    : loop_(loop), fd_(open_fifo(path, O_RDWR)), on_change_(std::move(on_change)) {}

void FifoSink::send(std::string_view bytes) {
  if (fd_) {
    settle(queue_.send(fd_.get(), {}, bytes));
  }
}

void FifoSink::finish() {
  finishing_ = true;
  settle(SendQueue::Peer::kThere);
}

void FifoSink::settle(SendQueue::Peer peer) {
  if (!fd_) {
    return;
  }
  if (peer == SendQueue::Peer::kGone || (finishing_ && queue_.empty())) {
    watch_.reset();
    fd_.reset();
    queue_.clear();
  } else if (queue_.empty()) {
    watch_.reset();
  } else if (!watch_.active()) {
    watch_ = loop_.watch(fd_.get(), EPOLLOUT, [this](uint32_t) { settle(queue_.flush(fd_.get())); });
  }
  on_change_();
}

FifoSource::FifoSource(EventLoop& loop, const std::filesystem::path& path, std::function<void(std::string_view)> on_input,
                       std::function<void()> on_end)
    : loop_(loop),
      fd_(open_fifo(path, O_RDONLY)),
      writer_(open_fifo(path, O_WRONLY)),
      on_input_(std::move(on_input)),
      on_end_(std::move(on_end)) {}

void FifoSource::set_reads(bool reads) {
  if (!fd_ || reads == watch_.active()) {
    return;
  }
  if (reads) {
    watch_ = loop_.watch(fd_.get(), EPOLLIN, [this](uint32_t) { on_event(); });
  } else {
    watch_.reset();
  }
}

void FifoSource::on_event() {
  std::array<char, 16384> bytes;
  ssize_t count = ::read(fd_.get(), bytes.data(), bytes.size());
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
    return;
  }
  if (count > 0) {
    on_input_(std::string_view(bytes.data(), static_cast<size_t>(count)));
    return;
  }
  watch_.reset();
  fd_.reset();
  on_end_();
}

}  // namespace bulkhead::shim
