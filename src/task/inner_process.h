// A process that only its wall's own kernel sees, as JSON in the Task API's answer.
#pragma once

#include <string>

#include "task/client.h"

namespace bulkhead::task {

/// The `info` of a process in the Task API's Pids.
inline constexpr const char* kInnerProcessType = "org.bulkhead.InnerProcess";
std::string to_json(const InnerProcess& process);
/// kDataLoss where it is none.
InnerProcess parse_inner_process(const std::string& json);

}  // namespace bulkhead::task
