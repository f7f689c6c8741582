#include "engine/process_text.h"

#include <fmt/format.h>

#include "facts/facts.pb.h"

namespace bulkhead::engine {

std::string joined(const std::vector<std::string>& words) {
  return words.empty() ? "none" : fmt::format("{}", fmt::join(words, ", "));
}

std::string title(const facts::Process& process) {
  std::string program = process.command().substr(0, process.command().find(' ')).substr(0, 40);
  return fmt::format("process {} ({})", process.pid(), program);
}

}  // namespace bulkhead::engine
