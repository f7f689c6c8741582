// The route table: which function answers which method and path. routes.cc is the API's table of contents.
#pragma once

#include <string>
#include <string_view>

#include "api/request.h"

namespace bulkhead::api {

using Handler = void (*)(Request&);

struct Route {
  std::string_view method;
  std::string_view pattern;  // "/a/{name}/b": one segment; "/a/{path}/b": one or more segments
  Handler handler;
};

/// The handler of a decoded path without its version, and what stood for the placeholder; null where there is none.
/// HEAD is answered where GET is, for /_ping only.
struct Match {
  Handler handler = nullptr;
  std::string name;
};
Match find_route(std::string_view method, std::string_view path);

/// Splits "/v1.41/x" into 41 and "/x"; a path without a version speaks the newest. Throws kInvalidArgument, in Docker's words,
/// for a version that isn't spoken here.
struct VersionedPath {
  int minor;
  std::string_view path;
};
VersionedPath split_version(std::string_view path);

}  // namespace bulkhead::api
