// Single facts of an explanation (GET /bulkhead/explain), in few words, for whoever draws them. Pure.
#pragma once

#include <cstddef>
#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <vector>

namespace bulkhead::cli {

/// Without the slash. Of a container or a neighbour.
std::string container_name(const nlohmann::json& container);
/// The first process of a wall; null where none was measured.
const nlohmann::json& first_process(const nlohmann::json& wall);

struct SystemCalls {
  int64_t reachable = 0, known = 0;  // both 0: not measured
};
/// By the native ABI.
SystemCalls system_calls(const nlohmann::json& process);
std::string system_calls_brief(const nlohmann::json& process);

std::string limit_brief(const nlohmann::json& wall, std::string_view name);
size_t count_paths(const nlohmann::json& wall, std::string_view kind);
/// Kinds of namespaces that a process has from outside of its container, but for those that every container has.
std::string outer_namespaces(const nlohmann::json& process);
/// What is less of a wall than was asked for.
std::vector<std::string> weaker_ones(const nlohmann::json& container);
/// Its name and all differences in one line.
std::string differences_line(const nlohmann::json& container);

}  // namespace bulkhead::cli
