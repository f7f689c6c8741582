// What may be mounted on /proc and below it. SECURITY: masks, read-only paths and what runtimes and programs read there mean
// something only where it is the kernel's own (CVE-2019-16884, CVE-2019-19921).
//
// The planner checks the targets as they are written; the child checks what they lead to (child_mounts.cc). Pure.
#pragma once

#include <string>
#include <string_view>

#include "support/error.h"

namespace bulkhead::runner {

/// `target` is /proc or below it.
bool is_at_proc(std::string_view target);

/// Throws kInvalidArgument where a mount may not be there: on /proc only a procfs (`type`) or a bind of one, below it only the
/// files that describe the machine (lxcfs shows a container its own share of it there). `target` is plain.
enum class IsBind { kNo, kYes };
void check_proc_target(const std::string& target, const std::string& type, IsBind bind);

Error not_proc(std::string_view target);
Error inside_proc(std::string_view target);

}  // namespace bulkhead::runner
