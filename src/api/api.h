// The Docker Engine API, 1.24 to 1.50 (docs.docker.com/reference/api/engine), in front of one engine. Thread-safe: `handle` is
// called on many connections' threads at once.
#pragma once

#include "engine/engine.h"
#include "http/exchange.h"

namespace bulkhead::api {

class Api {
 public:
  /// `engine` outlives this.
  explicit Api(engine::Engine& engine) : engine_(engine) {}

  /// Answers one request. Errors of the request become answers; only a broken connection throws.
  void handle(http::Exchange& exchange);

 private:
  engine::Engine& engine_;
};

}  // namespace bulkhead::api
