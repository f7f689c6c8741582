// Carries bytes between a client whose connection became a raw stream and a container's streams, until one side ends.
#pragma once

#include <optional>
#include <string>

#include "http/exchange.h"
#include "support/unique_fd.h"

namespace bulkhead::api {

enum class ProxyEnd {
  kStreamEnded,  // the process closed its streams: everything was sent to the client
  kClientGone,
  kDetached,  // by the detach keys
  kStopping,  // the server stops
};

struct ProxyOptions {
  bool send_input = false;                 // else what the client sends is read and dropped
  std::optional<std::string> detach_keys;  // bytes; looked for in the input
};

/// Blocks. The end of the client's input is passed on as the end of the stream's (shutdown(2)), while output goes on.
ProxyEnd proxy(const http::Exchange::Raw& client, int stop_descriptor, const UniqueFd& stream, const ProxyOptions& options);

/// Waits until `ready` is readable; false where the client left or the server stops first. Reads nothing from the client.
bool wait_ready(int ready, int client, int stop_descriptor);

}  // namespace bulkhead::api
