// POST /containers/{name}/attach: the client's connection becomes the container's streams.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "api/detach_keys.h"
#include "api/handlers.h"
#include "api/log_stream.h"
#include "api/raw_stream.h"
#include "support/error.h"

namespace bulkhead::api {
namespace {

void publish_detach(Request& request, const engine::Container& container) {
  std::map<std::string, std::string> attributes = container.config.labels;
  attributes["image"] = container.config.image;
  attributes["name"] = container.name;
  request.engine.events().publish(
      {.type = "container", .action = "detach", .actor_id = container.id, .attributes = std::move(attributes), .time = now()});
}

}  // namespace

void containers_attach(Request& request) {
  engine::Container container = request.engine.inspect(request.name);
  bool tty = container.config.tty;
  engine::AttachOptions options{.in = request.query.flag("stdin") && container.config.open_stdin,
                                .out = request.query.flag("stdout"),
                                .err = request.query.flag("stderr")};
  ProxyOptions proxy_options{.send_input = options.in, .detach_keys = std::nullopt};
  std::string keys = parse_detach_keys(request.query.get("detachKeys"));
  if (tty) {
    proxy_options.detach_keys = std::move(keys);
  }
  bool replay = request.query.flag("logs");
  if (replay) {
    require_readable_log(container);
  }
  // Before the answer: the client starts the container as soon as it has that, and nothing may be lost.
  std::unique_ptr<engine::Attachment> attachment;
  if (request.query.flag("stream")) {
    attachment = request.engine.attach(container.id, options);
  }
  request.exchange.read_body(kJsonLimit);
  http::Exchange::Raw client = request.exchange.hijack(stream_content_type(request, tty));
  if (replay) {
    replay_log(container, options, [&](std::string_view bytes) { send_raw(client, bytes); });
  }
  if (!attachment || !wait_ready(attachment->ready(), client.descriptor, request.exchange.stop_descriptor())) {
    return;
  }
  UniqueFd stream = attachment->take();
  if (!stream) {
    return;  // it did not start: the answer to the start says why
  }
  if (proxy(client, request.exchange.stop_descriptor(), stream, proxy_options) == ProxyEnd::kDetached) {
    publish_detach(request, container);
  }
}

}  // namespace bulkhead::api
