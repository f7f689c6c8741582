// The kernels that guests can boot: list, add, remove. Beyond Docker's API; paths are of the engine's host.
#include <nlohmann/json.hpp>

#include "api/handlers.h"
#include "kernels/catalogue.h"
#include "support/error.h"

namespace bulkhead::api {
namespace {
using nlohmann::json;

json to_json(const kernels::Entry& entry) {
  return {{"Name", entry.name},     {"Release", entry.release}, {"Path", entry.kernel.native()},
          {"Digest", entry.digest}, {"Added", entry.added},     {"ConfigChecked", entry.config_checked}};
}

std::string path_at(const json& body, const char* key) {
  auto found = body.find(key);
  if (found == body.end() || found->is_null()) {
    return "";
  }
  if (!found->is_string()) {
    throw Error(ErrorCode::kInvalidArgument, std::string(key) + " is not a string");
  }
  auto path = found->get<std::string>();
  if (!path.empty() && path[0] != '/') {
    throw Error(ErrorCode::kInvalidArgument, std::string(key) + " is not an absolute path");
  }
  return path;
}

}  // namespace

void kernels_list(Request& request) {
  json list = json::array();
  for (const kernels::Entry& entry : request.engine.list_kernels()) {
    list.push_back(to_json(entry));
  }
  answer_json(request, 200, list);
}

void kernels_add(Request& request) {
  json body = read_json(request);
  std::string kernel = path_at(body, "Kernel");
  if (kernel.empty()) {
    throw Error(ErrorCode::kInvalidArgument, "Kernel is missing: the path of a vmlinux");
  }
  answer_json(request, 201, to_json(request.engine.add_kernel(request.query.get("name"), kernel, path_at(body, "Config"))));
}

void kernels_remove(Request& request) {
  request.engine.remove_kernel(request.name);
  answer_empty(request, 204);
}

}  // namespace bulkhead::api
