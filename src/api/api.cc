#include "api/api.h"

#include <fmt/format.h>

#include <new>

#include "api/errors.h"
#include "api/request.h"
#include "api/routes.h"
#include "support/log.h"

namespace bulkhead::api {
namespace {

void add_fields(http::Headers& headers) {
  headers.add("Api-Version", fmt::format("1.{}", kNewestMinor));
  headers.add("Docker-Experimental", "false");
  headers.add("Ostype", "linux");
  headers.add("Server", "Bulkhead/" BULKHEAD_VERSION " (linux)");
}

void dispatch(http::Exchange& exchange, engine::Engine& engine) {
  std::string_view target = exchange.head().target;
  size_t question = target.find('?');
  auto path = http::percent_decode(target.substr(0, question));
  if (!path || path->find('\0') != std::string::npos) {
    throw http::StatusError(400, "the request's path can't be decoded");
  }
  VersionedPath versioned = split_version(*path);
  Match match = find_route(exchange.head().method, versioned.path);
  if (match.handler == nullptr) {
    throw http::StatusError(404, "page not found");
  }
  Request request{.exchange = exchange,
                  .engine = engine,
                  .minor = versioned.minor,
                  .path = std::string(versioned.path),
                  .query = http::Query::parse(question == std::string_view::npos ? "" : target.substr(question + 1)),
                  .name = std::move(match.name)};
  match.handler(request);
}

/// Tells the client where that is still possible: with a status before the answer began, with a line in a JSON stream after.
void report(http::Exchange& exchange, const Error& error) {
  if (exchange.has_answered() && !exchange.has_sent()) {
    exchange.abandon_stream();
  }
  if (!exchange.has_answered()) {
    int status = status_of(error);
    if (status == 304) {
      exchange.answer(status, "", "");
    } else {
      exchange.fail(status, message_of(error));
    }
    return;
  }
  throw error;  // NOLINT(cert-err09-cpp,cert-err61-cpp): the connection breaks off, which is all that's left to tell the client
}

}  // namespace

void Api::handle(http::Exchange& exchange) {
  add_fields(exchange.response_headers());
  log::debug("{} {}", exchange.head().method, exchange.head().target);
  try {
    dispatch(exchange, engine_);
  } catch (const Error& error) {
    report(exchange, error);
  } catch (const std::bad_alloc&) {
    report(exchange, Error(ErrorCode::kResourceExhausted, "the engine is out of memory"));
  } catch (const std::exception& error) {
    log::error("{} {}: {}", exchange.head().method, exchange.head().target, error.what());
    report(exchange, Error(ErrorCode::kInternal, error.what()));
  }
}

}  // namespace bulkhead::api
