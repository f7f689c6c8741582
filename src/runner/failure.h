// A child's report in words: which step failed on which object, as the Error that `create`, `start` or `exec` throws.
#pragma once

#include "runner/plan.h"
#include "runner/report.h"
#include "support/error.h"

namespace bulkhead::runner {

/// kCommandNotFound and kCannotExecute (with Docker's texts) where the command itself is at fault.
Error describe(const Plan& plan, const Report& report);

}  // namespace bulkhead::runner
