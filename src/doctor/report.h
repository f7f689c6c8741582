// What the doctor found, for people and for programs. Pure.
#pragma once

#include <string>

#include "doctor/check.h"

namespace bulkhead::doctor {

/// Whether nothing that this mode needs is missing.
bool works(const Checks& checks, Need need);

std::string report_text(const Checks& checks);
/// {"Process": {"Works": true}, "Hyperv": {...}, "Checks": [{"Mode", "Subject", "Health", "Found", "Remedy"}]}
std::string report_json(const Checks& checks);

}  // namespace bulkhead::doctor
