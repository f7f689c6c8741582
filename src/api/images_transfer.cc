// Images that come: pull, import, load.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "api/cancel_watch.h"
#include "api/credentials.h"
#include "api/handlers.h"
#include "api/image_events.h"
#include "api/progress_stream.h"
#include "image/image_store.h"
#include "support/error.h"

namespace bulkhead::api {
namespace {

/// "debian" and "12" -> "debian:12"; a digest as the tag -> "debian@sha256:...". A tag in the name gives way.
std::string join_reference(std::string name, const std::string& tag) {
  if (tag.empty()) {
    return name;
  }
  name = name.substr(0, name.find('@'));
  size_t slash = name.rfind('/');
  size_t colon = name.find(':', slash == std::string::npos ? 0 : slash);
  name = name.substr(0, colon);
  return name + (tag.find(':') == std::string::npos ? ":" : "@") + tag;
}

void pull(Request& request) {
  CancelWatch watch(request.exchange);
  ProgressStream stream(request, watch.token());
  image::PullRequest wanted{.reference = join_reference(request.query.get("fromImage"), request.query.get("tag")),
                            .platform = request.query.get("platform"),
                            .credentials = parse_registry_auth(request.exchange.head().headers.get("X-Registry-Auth"))};
  try {
    request.engine.images().pull(
        wanted, [&](const image::Progress& step) { stream.progress(step); }, watch.token());
    publish_image_event(request.engine, "pull", wanted.reference, wanted.reference);
  } catch (const Error& error) {
    // As dockerd: a 401 would make docker's client ask for a name and password at the terminal, and wait there.
    bool refused = error.code() == ErrorCode::kUnauthenticated;
    stream.fail(refused ? Error(ErrorCode::kInternal, error.message()) : error);
  }
}

void import(Request& request) {
  image::ImageStore::ImportRequest wanted{.reference = request.query.get("repo"),
                                          .message = request.query.get("message"),
                                          .changes = request.query.all("changes"),
                                          .platform = request.query.get("platform")};
  if (!wanted.reference.empty()) {
    wanted.reference = join_reference(wanted.reference, request.query.get("tag"));
  }
  ProgressStream stream(request, std::make_shared<std::atomic<bool>>(false));
  auto source = [&](char* buffer, size_t size) { return request.exchange.read_some(buffer, size); };
  image::Image made = request.engine.images().import(wanted, source);
  publish_image_event(request.engine, "import", made.id, wanted.reference.empty() ? made.id : wanted.reference);
  stream.line({{"status", made.id}});
}

}  // namespace

void images_create(Request& request) {
  if (!request.query.get("fromImage").empty()) {
    pull(request);
    return;
  }
  std::string source = request.query.get("fromSrc");
  if (source.empty()) {
    throw Error(ErrorCode::kInvalidArgument,
                "neither fromImage nor fromSrc is given: there is nothing to create an image from");
  }
  if (source != "-") {
    throw Error(
        ErrorCode::kNotSupported,
        fmt::format("import from '{}': the engine fetches no archives by itself: download it and import the file", source));
  }
  import(request);
}

void images_load(Request& request) {
  auto cancel = std::make_shared<std::atomic<bool>>(false);
  ProgressStream stream(request, cancel);
  bool quiet = request.query.flag("quiet");
  auto source = [&](char* buffer, size_t size) -> size_t {
    if (*cancel) {
      throw Error(ErrorCode::kUnavailable, "the client has closed the connection");
    }
    return request.exchange.read_some(buffer, size);
  };
  auto progress = [&](const image::Progress& step) {
    if (!quiet) {
      stream.progress(step);
    }
  };
  try {
    for (const std::string& line : request.engine.images().load(source, progress)) {
      stream.line({{"stream", line + "\n"}});
    }
  } catch (const Error& error) {
    stream.fail(error);
  }
}

}  // namespace bulkhead::api
