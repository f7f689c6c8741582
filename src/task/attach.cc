#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include "support/error.h"
#include "task/attach_header.h"
#include "task/client.h"
#include "task/protocol.h"
#include "ttrpc/client.h"

namespace bulkhead::task {
namespace {

/// One byte at a time, so that none of the streams' bytes is taken with the line.
std::string read_line(int socket) {
  constexpr int kPatience = 10'000;  // milliseconds for each byte; the shim answers at once
  std::string line;
  while (line.size() < kMaxAttachLine) {
    pollfd wait{.fd = socket, .events = POLLIN, .revents = 0};
    int ready = ::poll(&wait, 1, kPatience);
    if (ready == 0) {
      throw Error(ErrorCode::kDeadlineExceeded, "the shim doesn't answer to attach");
    }
    char byte = 0;
    ssize_t count = ready < 0 ? -1 : ::recv(socket, &byte, 1, 0);
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count <= 0) {
      throw Error(ErrorCode::kUnavailable, "the shim closed the attach connection");
    }
    if (byte == '\n') {
      return line;
    }
    line.push_back(byte);
  }
  throw Error(ErrorCode::kDataLoss, "the shim's answer to attach is too long");
}

}  // namespace

UniqueFd attach(const AttachRequest& request) {
  UniqueFd socket = ttrpc::connect_unix(request.bundle / kAttachSocket);
  std::string header = to_line({.exec_id = request.exec_id,
                                .in = request.in,
                                .out = request.out,
                                .err = request.err,
                                .close_stdin_at_end = request.stdin_at_end == StdinAtEnd::kClose});
  // A fresh socket takes a short line whole.
  if (::send(socket.get(), header.data(), header.size(), MSG_NOSIGNAL) != static_cast<ssize_t>(header.size())) {
    throw system_error(fmt::format("ask the shim of '{}' for its streams", request.bundle.native()));
  }
  check_attach_answer(read_line(socket.get()));
  return socket;
}

}  // namespace bulkhead::task
