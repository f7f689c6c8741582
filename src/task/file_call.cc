#include "task/file_call.h"

#include <fmt/format.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <string>

#include "support/error.h"
#include "task/file_line.h"
#include "task/protocol.h"
#include "ttrpc/client.h"

namespace bulkhead::task {
namespace {

/// The line and the descriptor in one message.
void send_with(int connection, std::string line, int descriptor) {
  iovec vector{line.data(), line.size()};
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control{};
  msghdr message{};
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  if (descriptor >= 0) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(header), &descriptor, sizeof(int));
  }
  // A fresh socket takes a short line whole.
  if (::sendmsg(connection, &message, MSG_NOSIGNAL) != static_cast<ssize_t>(line.size())) {
    throw system_error("ask a shim about files");
  }
}

}  // namespace

FileCall::FileCall(const std::filesystem::path& bundle, const archive::FileRequest& request)
    : connection_(ttrpc::connect_unix(bundle / kAttachSocket)) {
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

void FileCall::end_stream() { ::shutdown(stream_.get(), SHUT_WR); }

archive::PathStat FileCall::finish() {
  std::string line;
  std::array<char, 4096> part{};
  for (;;) {
    ssize_t count = ::recv(connection_.get(), part.data(), part.size(), 0);
    if (count < 0 && errno == EINTR) {
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
