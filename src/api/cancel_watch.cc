#include "api/cancel_watch.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <array>

#include "support/error.h"

namespace bulkhead::api {

CancelWatch::CancelWatch(const http::Exchange& exchange)
    : token_(std::make_shared<std::atomic<bool>>(false)), done_(::eventfd(0, EFD_CLOEXEC)) {
  if (!done_) {
    throw system_error("create an eventfd");
  }
  thread_ =
      std::thread([token = token_, done = done_.get(), client = exchange.descriptor(), stop = exchange.stop_descriptor()] {
        std::array<pollfd, 3> polled = {{{done, POLLIN, 0}, {client, POLLRDHUP, 0}, {stop, POLLIN, 0}}};
        while (::poll(polled.data(), polled.size(), -1) < 0 && errno == EINTR) {
        }
        if (polled[1].revents != 0 || polled[2].revents != 0) {
          *token = true;
        }
      });
}

CancelWatch::~CancelWatch() {
  uint64_t one = 1;
  [[maybe_unused]] ssize_t written = ::write(done_.get(), &one, sizeof(one));
  thread_.join();
}

}  // namespace bulkhead::api
