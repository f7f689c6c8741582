// Columns of text that fit the terminal: too long ones are cut with an ellipsis, the widest first. Pure data.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace bulkhead::cli {

/// How many columns of a terminal the text fills: UTF-8 code points.
size_t display_width(std::string_view text);
/// At most `width` columns, the last of them an ellipsis where something was cut.
std::string cut(std::string_view text, size_t width);
/// SECURITY: names, commands and messages come from images, containers and registries: control characters in them would
/// reach the user's terminal as commands. Each becomes '?'.
std::string printable(std::string_view text);

class Table {
 public:
  explicit Table(std::vector<std::string> titles) : rows_{std::move(titles)} {}
  void add(std::vector<std::string> row);
  /// The lines; `width` 0: as wide as it gets (no terminal, or --no-trunc).
  std::string text(size_t width) const;

 private:
  std::vector<size_t> fitted_widths(size_t width) const;
  std::vector<std::vector<std::string>> rows_;
};

}  // namespace bulkhead::cli
