#include "api/raw_stream.h"

#include <poll.h>
#include <sys/socket.h>

#include "support/error.h"

namespace bulkhead::api {

std::string_view stream_content_type(const Request& request, bool tty) {
  return !tty && request.minor >= 42 ? "application/vnd.docker.multiplexed-stream" : "application/vnd.docker.raw-stream";
}

void send_raw(const http::Exchange::Raw& client, std::string_view bytes) {
  constexpr int kPatience = 10'000;  // milliseconds
  while (!bytes.empty()) {
    ssize_t count = ::send(client.descriptor, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (count >= 0) {
      bytes.remove_prefix(static_cast<size_t>(count));
      continue;
    }
    pollfd polled{client.descriptor, POLLOUT, 0};
    if ((errno != EAGAIN && errno != EINTR) || ::poll(&polled, 1, kPatience) == 0) {
      throw Error(ErrorCode::kUnavailable, "the client does not read its stream");
    }
  }
}

}  // namespace bulkhead::api
