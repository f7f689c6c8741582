// Lists of processors or memory nodes: "0-2,5" (cpuset(7), "List format"). Pure.
#pragma once

#include <optional>
#include <set>
#include <string>

namespace bulkhead::engine {

/// nullopt where the text is none; numbers are below 65536.
std::optional<std::set<int>> parse_cpu_list(const std::string& text);

}  // namespace bulkhead::engine
