#include "api/progress_stream.h"

#include <nlohmann/json.hpp>

#include "api/errors.h"
#include "api/phrases.h"
#include "support/error.h"

namespace bulkhead::api {
namespace {
constexpr std::chrono::milliseconds kInterval{100};
}

void ProgressStream::progress(const image::Progress& step) {
  auto time = std::chrono::steady_clock::now();
  {
    std::lock_guard lock(mutex_);
    Shown& shown = shown_[step.id];
    bool moves_only = step.total > 0 && step.current < step.total && shown.status == step.status;
    if (moves_only && time - shown.time < kInterval) {
      return;
    }
    shown = {step.status, time};
  }
  nlohmann::json json = {{"status", step.status}};
  if (!step.id.empty()) {
    json["id"] = step.id;
  }
  if (step.total > 0 || step.current > 0) {
    json["progressDetail"] = {{"current", step.current}, {"total", step.total}};
    json["progress"] = progress_bar(step.current, step.total);
  } else if (!step.id.empty()) {
    json["progressDetail"] = nlohmann::json::object();
  }
  try {
    line(json);
  } catch (const Error&) {
    *cancel_ = true;  // the client has gone: whoever transfers asks this token
  }
}

void ProgressStream::line(const nlohmann::json& json) {
  std::lock_guard lock(mutex_);
  if (!request_.exchange.has_answered()) {
    request_.exchange.begin_stream(200, "application/json");
  }
  request_.exchange.write(json_line(json));
}

void ProgressStream::fail(const Error& error) {
  if (!request_.exchange.has_sent()) {
    throw error;  // NOLINT(cert-err09-cpp,cert-err61-cpp): a copy of what the caller caught
  }
  std::string text = message_of(error);
  line({{"errorDetail", {{"message", text}}}, {"error", text}});
}

}  // namespace bulkhead::api
