// GET /containers/{name}/stats: one sample or one each second, as `docker stats` wants them.
#include <poll.h>

#include <array>
#include <cerrno>
#include <nlohmann/json.hpp>
#include <optional>

#include "api/handlers.h"
#include "api/stats_view.h"
#include "support/error.h"

namespace bulkhead::api {
namespace {

using Sample = std::optional<engine::ContainerStatistics>;

constexpr int kPeriod = 1000;  // milliseconds

/// False where the client left or the server stops.
bool wait_a_period(const Request& request) {
  std::array<pollfd, 2> polled = {
      {{request.exchange.descriptor(), POLLRDHUP, 0}, {request.exchange.stop_descriptor(), POLLIN, 0}}};
  if (::poll(polled.data(), polled.size(), kPeriod) < 0 && errno != EINTR) {
    throw system_error("wait for the next statistics");
  }
  return polled[0].revents == 0 && polled[1].revents == 0;
}

nlohmann::json view(const engine::Container& container, const Sample& now, const Sample& before) {
  return stats_view(container.id, container.name, now ? &*now : nullptr, before ? &*before : nullptr);
}

/// Rates need two samples; `one-shot` wants none.
void answer_once(Request& request, const engine::Container& container) {
  Sample before;
  Sample now = request.engine.statistics(container.id);
  if (now && !request.query.flag("one-shot")) {
    if (!wait_a_period(request)) {
      return;
    }
    before = std::move(now);
    now = request.engine.statistics(container.id);
  }
  answer_json(request, 200, view(container, now, before));
}

}  // namespace

void containers_stats(Request& request) {
  engine::Container container = request.engine.inspect(request.name);
  if (request.query.has("stream") && !request.query.flag("stream")) {
    answer_once(request, container);
    return;
  }
  if (request.query.flag("one-shot")) {
    throw Error(ErrorCode::kInvalidArgument, "cannot have stream=true and one-shot=true");
  }
  request.exchange.begin_stream(200, "application/json");
  Sample before;
  do {
    Sample now;
    try {
      now = request.engine.statistics(container.id);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kNotFound) {
        throw;
      }
      request.exchange.flush();  // removed: the stream ends
      return;
    }
    request.exchange.write(json_line(view(container, now, now ? before : std::nullopt)));
    before = std::move(now);
  } while (wait_a_period(request));
}

}  // namespace bulkhead::api
