#include "sandbox/sandbox.h"

#include "support/error.h"

namespace bulkhead::sandbox {

Availability Isolation::availability() {
  try {
    probe();
    return {.available = true, .reason = {}, .accelerator = {}, .accelerator_reason = {}};
  } catch (const Error& error) {
    return {.available = false, .reason = error.message(), .accelerator = {}, .accelerator_reason = {}};
  }
}

}  // namespace bulkhead::sandbox
