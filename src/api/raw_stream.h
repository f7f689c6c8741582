// What attach and exec share: the content type of their streams, and a text sent down one.
#pragma once

#include <string_view>

#include "api/request.h"
#include "api/stream_proxy.h"

namespace bulkhead::api {

/// Since API 1.42 streams in frames have a type of their own.
std::string_view stream_content_type(const Request& request, bool tty);
/// Blocks until all is sent; gives up where the client is gone or does not read for ten seconds.
void send_raw(const http::Exchange::Raw& client, std::string_view bytes);

}  // namespace bulkhead::api
