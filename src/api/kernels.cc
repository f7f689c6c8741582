// The kernels that guests can boot: listed by everybody, added and removed by root. Beyond Docker's API; paths are of the
// engine's host.
#include <algorithm>
#include <filesystem>
#include <iterator>
#include <nlohmann/json.hpp>
#include <vector>

#include "api/handlers.h"
#include "kernels/catalogue.h"
#include "support/error.h"

namespace bulkhead::api {
namespace {
using nlohmann::json;

json to_json(const kernels::Entry& entry) {
  return {{"Name", entry.name},
          {"Release", entry.release},
          {"Version", entry.version},
          {"Path", entry.kernel.native()},
          {"EmulatedPath", entry.emulated.native()},
          {"Digest", entry.digest},
          {"Added", entry.added},
          {"ConfigChecked", entry.config_checked},
          {"Shipped", entry.shipped},
          {"Modules", !entry.boot.modules.empty()},
          {"HostFolders", entry.boot.shares != kernels::Shares::kNone}};
}

std::string to_path(const json& value, const char* key) {
  if (!value.is_string()) {
    throw Error(ErrorCode::kInvalidArgument, std::string(key) + " is not a string");
  }
  auto path = value.get<std::string>();
  if (!path.empty() && path[0] != '/') {
    throw Error(ErrorCode::kInvalidArgument, std::string(key) + " is not an absolute path");
  }
  return path;
}

std::string path_at(const json& body, const char* key) {
  auto found = body.find(key);
  return found == body.end() || found->is_null() ? "" : to_path(*found, key);
}

std::vector<std::filesystem::path> paths_at(const json& body, const char* key) {
  std::vector<std::filesystem::path> paths;
  auto found = body.find(key);
  if (found == body.end() || found->is_null()) {
    return paths;
  }
  if (!found->is_array()) {
    throw Error(ErrorCode::kInvalidArgument, std::string(key) + " is not a list");
  }
  std::transform(found->begin(), found->end(), std::back_inserter(paths), [&](const json& each) { return to_path(each, key); });
  return paths;
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
  kernels::KernelFiles files{
      .kernel = path_at(body, "Kernel"), .config = path_at(body, "Config"), .modules = paths_at(body, "Modules")};
  if (files.kernel.empty()) {
    throw Error(ErrorCode::kInvalidArgument, "Kernel is missing: the path of a vmlinux, a vmlinuz or a package");
  }
  answer_json(request, 201, to_json(request.engine.add_kernel(caller_of(request), request.query.get("name"), files)));
}

void kernels_remove(Request& request) {
  request.engine.remove_kernel(caller_of(request), request.name);
  answer_empty(request, 204);
}

}  // namespace bulkhead::api
