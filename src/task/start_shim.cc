// Starting a shim, and cleaning up after one: `binary ... start|delete` with the bundle as its working folder, as containerd
// runs its shims.
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "support/command.h"
#include "support/error.h"
#include "support/files.h"
#include "task/client.h"
#include "task/protocol.h"

namespace bulkhead::task {
namespace {

std::vector<std::string> arguments_for(const StartShimRequest& request, const char* action) {
  std::vector<std::string> arguments{
      request.binary.native(), "-namespace",    request.name_space,           "-id", request.id, "-bundle",
      request.bundle.native(), "-cache-folder", request.cache_folder.native()};
  if (!request.log.empty()) {
    arguments.insert(arguments.end(), {"-log", request.log.native()});
  }
  arguments.emplace_back(action);
  return arguments;
}

CommandOutcome run(const StartShimRequest& request, const char* action) {
  CommandOutcome outcome = run_command({.program = request.sealed.empty() ? request.binary : request.sealed,
                                        .arguments = arguments_for(request, action),
                                        .folder = request.bundle});
  if (!outcome.succeeded()) {
    throw Error(ErrorCode::kInternal, fmt::format("'{}' {} failed: {}", request.binary.native(), action, outcome.complaint()));
  }
  return outcome;
}

}  // namespace

std::filesystem::path start_shim(const StartShimRequest& request) {
  CommandOutcome outcome = run(request, "start");
  std::string_view address = outcome.out;
  while (!address.empty() && address.back() == '\n') {
    address.remove_suffix(1);
  }
  constexpr std::string_view kScheme = "unix://";
  if (!address.starts_with(kScheme)) {
    throw Error(ErrorCode::kInternal, fmt::format("'{}' start printed no address", request.binary.native()));
  }
  return address.substr(kScheme.size());
}

void delete_shim(const StartShimRequest& request) { run(request, "delete"); }

std::map<std::string, IsolationDescription> describe_isolations(const std::filesystem::path& binary,
                                                                const std::filesystem::path& cache_folder) {
  CommandOutcome outcome = run_command(
      {.program = binary, .arguments = {binary.native(), "-cache-folder", cache_folder.native(), "isolations"}, .folder = {}});
  if (!outcome.succeeded()) {
    throw Error(ErrorCode::kInternal, fmt::format("'{}' isolations failed: {}", binary.native(), outcome.complaint()));
  }
  std::map<std::string, IsolationDescription> found;
  try {
    auto kinds = nlohmann::json::parse(outcome.out);  // named: items() only refers to it
    for (const auto& [name, json] : kinds.items()) {
      found[name] = {.host_network = json.at("host_network"),
                     .host_pid = json.at("host_pid"),
                     .host_ipc = json.at("host_ipc"),
                     .join_namespaces = json.at("join_namespaces"),
                     .host_devices = json.at("host_devices"),
                     .own_kernel = json.at("own_kernel"),
                     .available = json.at("available"),
                     .reason = json.at("reason"),
                     .accelerator = json.at("accelerator"),
                     .accelerator_reason = json.at("accelerator_reason")};
    }
  } catch (const nlohmann::json::exception& error) {
    throw Error(ErrorCode::kDataLoss, fmt::format("'{}' isolations: {}", binary.native(), error.what()));
  }
  return found;
}

ExitDetails read_exit_details(const std::filesystem::path& bundle) {
  std::filesystem::path path = bundle / kExitFile;
  auto object = nlohmann::json::parse(read_file(path, 1UL << 20), nullptr, false);
  if (!object.is_object()) {
    throw Error(ErrorCode::kDataLoss, fmt::format("'{}' is no JSON object", path.native()));
  }
  try {
    return {.out_of_memory = object.value("out_of_memory", false), .error = object.value("error", "")};
  } catch (const nlohmann::json::exception&) {
    throw Error(ErrorCode::kDataLoss, fmt::format("'{}' has a property of the wrong type", path.native()));
  }
}

}  // namespace bulkhead::task
