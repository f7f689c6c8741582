// Lines of an explanation's text: what one wall consists of. Pure.
#pragma once

#include <fmt/format.h>

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>
#include <utility>

#include "cli/table.h"

namespace bulkhead::cli {

/// Lines of "label: text", the label only where it changes.
class Lines {
 public:
  void section(const std::string& title) { text_ += fmt::format("\n  {}\n", printable(title)); }
  void line(const std::string& text) { text_ += printable(text) + "\n"; }
  void field(std::string_view label, const std::string& text) {
    text_ += fmt::format("    {:<{}} {}\n", label == last_ ? "" : label, kLabel, printable(text));
    last_ = label;
  }
  std::string take() { return std::move(text_); }

 private:
  static constexpr size_t kLabel = 18;

  std::string text_, last_;
};

/// Containers that share something; "none".
std::string names_of(const nlohmann::json& neighbours);
/// All about one wall. `shared`: who else is in its first process's namespaces; `guest`: it is on a kernel of its own.
void add_wall(Lines& lines, const nlohmann::json& wall, const nlohmann::json& shared, bool guest);
/// QEMU's jail.
void add_machine(Lines& lines, const nlohmann::json& machine);

}  // namespace bulkhead::cli
