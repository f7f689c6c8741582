#include "shim/attach_server.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <utility>

#include "support/descriptor_passing.h"
#include "task/file_line.h"

namespace bulkhead::shim {

AttachServer::AttachServer(EventLoop& loop, Container& container, UniqueFd socket, std::filesystem::path path)
    : loop_(loop), container_(container), listener_(loop, std::move(socket), std::move(path), [this](UniqueFd connection) {
        on_connection(std::move(connection));
      }) {}

void AttachServer::on_connection(UniqueFd socket) {
  constexpr size_t kMaxPending = 64;
  if (pending_.size() >= kMaxPending) {
    pending_.pop_front();  // the one that has said nothing for longest
  }
  auto pending = pending_.emplace(pending_.end(), Pending{.socket = std::move(socket), .watch = {}});
  pending->watch = loop_.watch(pending->socket.get(), EPOLLIN, [this, pending](uint32_t) { on_readable(pending); });
}

void AttachServer::on_readable(std::list<Pending>::iterator pending) {
  // Looked at first, so that nothing of what follows the line is taken.
  std::array<char, task::kMaxFileLine> bytes;
  int fd = pending->socket.get();
  ssize_t count = ::recv(fd, bytes.data(), bytes.size(), MSG_PEEK);
  if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
    return;
  }
  std::string_view line(bytes.data(), count > 0 ? static_cast<size_t>(count) : 0);
  size_t newline = line.find('\n');
  if (newline == std::string_view::npos) {
    // Our own client sends the line in one piece. Half a line would poll readable until the rest comes, and spin.
    pending_.erase(pending);
    return;
  }
  ReceivedMessage received = receive_with_descriptors(fd, {bytes.data(), newline + 1}, 1);
  if (received.size != static_cast<ssize_t>(newline + 1)) {
    pending_.erase(pending);
    return;
  }
  // One, or it is none that was asked for.
  UniqueFd passed = received.descriptors.size() == 1 ? std::move(received.descriptors.front()) : UniqueFd();
  pending->watch.reset();
  UniqueFd socket = std::move(pending->socket);
  pending_.erase(pending);
  // Kept aside for a refusal: the container takes the socket.
  UniqueFd answer(::fcntl(socket.get(), F_DUPFD_CLOEXEC, 3));
  try {
    serve(line.substr(0, newline), std::move(socket), std::move(passed));
  } catch (const Error& error) {
    std::string refusal = task::attach_refused(error);
    (void)::send(answer.get(), refusal.data(), refusal.size(), MSG_NOSIGNAL);
  }
}

void AttachServer::serve(std::string_view line, UniqueFd socket, UniqueFd passed) {
  if (auto request = task::parse_file_request(line)) {
    if (!passed && request->kind != archive::FileRequest::Kind::kStat) {
      throw Error(ErrorCode::kInvalidArgument, "a request about files came without a stream");
    }
    container_.work_on_files(std::move(*request), std::move(passed), std::move(socket));
    return;
  }
  task::AttachHeader header = task::parse_attach_header(line);
  container_.attach(header.exec_id, std::move(socket), header);
}

}  // namespace bulkhead::shim
