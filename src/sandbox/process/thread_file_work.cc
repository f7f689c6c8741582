#include "sandbox/process/thread_file_work.h"

#include <signal.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <utility>

#include "archive/file_work.h"
#include "archive/root.h"
#include "oci/user_lookup.h"
#include "support/error.h"

namespace bulkhead::sandbox {
namespace {

constexpr size_t kMaxUserFile = 4UL << 20;  // bytes of /etc/passwd

std::optional<std::pair<uint32_t, uint32_t>> owner_of(int root, const archive::FileRequest& request) {
  if (request.owner.empty()) {
    return std::nullopt;
  }
  oci::FoundUser user = oci::find_user(
      request.owner, {}, [&](const std::string& path) { return archive::read_in_root(root, path, kMaxUserFile); });
  return std::pair(user.uid, user.gid);
}

}  // namespace

ThreadFileWork::ThreadFileWork(UniqueFd root, archive::FileRequest request, UniqueFd stream)
    : root_(std::move(root)),
      request_(std::move(request)),
      stream_(std::move(stream)),
      done_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  if (!done_) {
    throw system_error("make an eventfd");
  }
  // Signals are for the thread that starts this one; a broken stream is an error code here.
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  try {
    thread_ = std::thread([this] { run(); });
  } catch (...) {
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    throw Error(ErrorCode::kResourceExhausted, "no thread can be started to work on the container's files");
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

ThreadFileWork::~ThreadFileWork() {
  if (stream_) {
    ::shutdown(stream_.get(), SHUT_RDWR);
  }
  thread_.join();
}

void ThreadFileWork::run() {
  try {
    found_ = archive::work_on_files(root_.get(), request_, stream_.get(), owner_of(root_.get(), request_));
  } catch (...) {
    failure_ = std::current_exception();
  }
  root_.reset();  // it keeps the container's mounts
  if (stream_) {
    ::shutdown(stream_.get(), SHUT_RDWR);
  }
  uint64_t one = 1;
  [[maybe_unused]] auto written = ::write(done_.get(), &one, sizeof(one));
}

archive::PathStat ThreadFileWork::result() {
  if (failure_) {
    std::rethrow_exception(failure_);
  }
  return found_;
}

}  // namespace bulkhead::sandbox
