#include "task/statistics.h"

#include <nlohmann/json.hpp>

#include "support/error.h"

namespace bulkhead::task {

Statistics parse_statistics(const std::string& text) {
  auto json = nlohmann::json::parse(text, nullptr, false);
  try {
    return {.memory_usage = json.at("memory_usage").get<uint64_t>(),
            .memory_limit = json.at("memory_limit").get<uint64_t>(),
            .memory_inactive_file = json.at("memory_inactive_file").get<uint64_t>(),
            .memory_max_usage = json.at("memory_max_usage").get<uint64_t>(),
            .cpu_usage = json.at("cpu_usage").get<uint64_t>(),
            .cpu_user = json.at("cpu_user").get<uint64_t>(),
            .cpu_system = json.at("cpu_system").get<uint64_t>(),
            .periods = json.value("periods", uint64_t{0}),  // not told by older shims
            .throttled_periods = json.at("throttled_periods").get<uint64_t>(),
            .throttled_time = json.at("throttled_time").get<uint64_t>(),
            .pids_current = json.at("pids_current").get<uint64_t>(),
            .pids_limit = json.at("pids_limit").get<uint64_t>()};
  } catch (const nlohmann::json::exception&) {
    throw Error(ErrorCode::kDataLoss, "the shim's statistics can't be read");
  }
}

}  // namespace bulkhead::task
