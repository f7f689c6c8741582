// Watches a client while its request's thread is busy elsewhere, and tells a CancelToken when the client has gone or the server
// stops. Runs one thread for as long as it lives.
#pragma once

#include <thread>

#include "http/exchange.h"
#include "image/image_store.h"
#include "support/unique_fd.h"

namespace bulkhead::api {

class CancelWatch {
 public:
  explicit CancelWatch(const http::Exchange& exchange);
  ~CancelWatch();
  CancelWatch(const CancelWatch&) = delete;
  CancelWatch& operator=(const CancelWatch&) = delete;

  const image::CancelToken& token() const { return token_; }

 private:
  image::CancelToken token_;
  UniqueFd done_;
  std::thread thread_;
};

}  // namespace bulkhead::api
