// Policy files: whatever the bytes are, they are a policy or a mistake with its place; and a policy decides about anything, the
// same every time. The bytes after the first zero byte are a create request.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string_view>

#include "policy/policy.h"
#include "support/error.h"

namespace {

using namespace bulkhead::policy;

Request request_of(std::string_view text) {
  nlohmann::json body = nlohmann::json::parse(text, nullptr, false);
  try {
    return read_request(body.is_discarded() ? nlohmann::json::object() : body);
  } catch (const bulkhead::Error&) {
    return {};
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  size_t zero = text.find('\0');
  Request request = request_of(zero == std::string_view::npos ? "" : text.substr(zero + 1));
  try {
    Policy policy = Policy::parse(text.substr(0, zero), "p");
    Decision decision = policy.decide(request, Mode::kProcess);
    if (to_json(decision) != to_json(policy.decide(request, Mode::kProcess))) {
      std::abort();
    }
  } catch (const bulkhead::Error& error) {
    if (!error.message().starts_with("p:")) {
      std::abort();  // a mistake without a place
    }
  }
  return 0;
}
