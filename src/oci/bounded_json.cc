#include "oci/bounded_json.h"

#include <fmt/format.h>

#include "support/error.h"

namespace bulkhead::oci {

nlohmann::json parse_bounded_json(std::string_view text, std::string_view what) {
  constexpr int kMaxDepth = 64;
  auto limit = [&](int depth, nlohmann::json::parse_event_t /*event*/, nlohmann::json& /*value*/) {
    if (depth > kMaxDepth) {
      throw Error(ErrorCode::kDataLoss, fmt::format("{}: nested deeper than {}", what, kMaxDepth));
    }
    return true;
  };
  try {
    return nlohmann::json::parse(text, limit);
  } catch (const nlohmann::json::exception& error) {
    throw Error(ErrorCode::kDataLoss, fmt::format("{}: not valid JSON: {}", what, error.what()));
  }
}

}  // namespace bulkhead::oci
