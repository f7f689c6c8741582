#include "task/inner_process.h"

#include <nlohmann/json.hpp>

#include "support/error.h"

namespace bulkhead::task {

std::string to_json(const InnerProcess& process) {
  nlohmann::json json = {{"ppid", process.parent},
                         {"uid", process.user},
                         {"started", process.started.time_since_epoch().count()},
                         {"processor_time", process.processor_time},
                         {"memory", process.memory},
                         {"terminal", process.terminal},
                         {"command", process.command}};
  // SECURITY: the names come from a guest and need not be UTF-8.
  return json.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace);
}

InnerProcess parse_inner_process(const std::string& text) {
  auto json = nlohmann::json::parse(text, nullptr, false);
  try {
    InnerProcess process;
    process.parent = json.at("ppid").get<pid_t>();
    process.user = json.at("uid").get<uid_t>();
    process.started = TimePoint(TimePoint::duration(json.at("started").get<int64_t>()));
    process.processor_time = json.at("processor_time").get<uint64_t>();
    process.memory = json.value("memory", uint64_t{0});  // not told by older shims
    process.terminal = json.at("terminal").get<std::string>();
    process.command = json.at("command").get<std::string>();
    return process;
  } catch (const nlohmann::json::exception&) {
    throw Error(ErrorCode::kDataLoss, "the shim's description of a process can't be read");
  }
}

}  // namespace bulkhead::task
