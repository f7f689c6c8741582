#include "shim/file_server.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <string>
#include <utility>

#include "support/error.h"
#include "task/file_line.h"

namespace bulkhead::shim {
namespace {

// SECURITY: what runs at once, so that nobody who may ask uses up the shim's threads, descriptors, and memory: what one copy
// may keep (kMaxPackerBytes, kMaxFolderTimes) counts as often.
constexpr size_t kMaxRunning = 8;

}  // namespace

void FileServer::add(std::unique_ptr<sandbox::FileWork> work, UniqueFd connection) {
  if (running_.size() >= kMaxRunning) {
    throw Error(ErrorCode::kResourceExhausted, "too many copies to or from this container are under way: try again later");
  }
  auto running = running_.emplace(running_.end());
  running->connection = std::move(connection);
  running->work = std::move(work);
  running->watch = loop_.watch(running->work->descriptor(), EPOLLIN, [this, running](uint32_t) { on_done(running); });
}

void FileServer::on_done(std::list<Running>::iterator running) {
  std::string answer;
  try {
    answer = task::file_work_done(running->work->result());
  } catch (const Error& error) {
    answer = task::file_work_failed(error);
  } catch (const std::exception& error) {
    answer = task::file_work_failed(Error(ErrorCode::kInternal, error.what()));
  }
  (void)::send(running->connection.get(), answer.data(), answer.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  running_.erase(running);
}

}  // namespace bulkhead::shim
