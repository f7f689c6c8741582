// The JSON stream in which a pull or a load tells how far it is, one object a line, as the docker client draws it.
#pragma once

#include <chrono>
#include <map>
#include <mutex>
#include <string>

#include "api/request.h"
#include "image/image_store.h"

namespace bulkhead::api {

/// May be called from any thread, one at a time for `progress`. The first line sends the answer's head.
class ProgressStream {
 public:
  ProgressStream(Request& request, image::CancelToken cancel) : request_(request), cancel_(std::move(cancel)) {}

  /// Bars move at most ten times a second for each layer; every change of a status is sent. Where the client has gone, the
  /// token becomes true.
  void progress(const image::Progress& step);
  void line(const nlohmann::json& json);
  /// An error after the head: {"errorDetail": ...}. Before it, throws it again, for a status of its own.
  void fail(const Error& error);

 private:
  struct Shown {
    std::string status;
    std::chrono::steady_clock::time_point time;
  };
  Request& request_;
  image::CancelToken cancel_;
  std::mutex mutex_;
  std::map<std::string, Shown> shown_;
};

}  // namespace bulkhead::api
