#include "shim/attach_server.h"

#include <fcntl.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <array>
#include <cstring>
#include <utility>
#include <vector>

#include "task/file_line.h"

namespace bulkhead::shim {
namespace {

/// All of them: whoever sends more than we asked for must not leave any with us.
std::vector<UniqueFd> take_descriptors(msghdr& message) {
  std::vector<UniqueFd> descriptors;
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS || header->cmsg_len < CMSG_LEN(0)) {
      continue;
    }
    size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int descriptor = -1;
      std::memcpy(&descriptor, CMSG_DATA(header) + i * sizeof(int), sizeof(int));
      descriptors.emplace_back(descriptor);
    }
  }
  return descriptors;
}

/// recv(2), with the descriptor that came along, where it was one.
ssize_t receive(int socket, char* bytes, size_t size, UniqueFd& passed) {
  iovec vector{bytes, size};
  // Room for two, as it is rounded up; the kernel drops others.
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  ssize_t count = ::recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
  if (count < 0) {
    return count;
  }
  if (std::vector<UniqueFd> descriptors = take_descriptors(message); descriptors.size() == 1) {
    passed = std::move(descriptors.front());
  }
  return count;
}

}  // namespace

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
  UniqueFd passed;
  if (receive(fd, bytes.data(), newline + 1, passed) != static_cast<ssize_t>(newline + 1)) {
    pending_.erase(pending);
    return;
  }
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
