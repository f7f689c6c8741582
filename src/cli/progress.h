// The progress of a pull, load or import, from the engine's stream of JSON messages: on a terminal one line a layer, redrawn in
// place; elsewhere plain lines. Not thread-safe.
#pragma once

#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "cli/terminal.h"
#include "http/client.h"

namespace bulkhead::cli {

struct ProgressLine {
  std::string id, status;
  int64_t current = 0, total = 0;
};

/// One line of at most `width` columns: "a1b2c3: Downloading [====>      ]  12.3MB/45.6MB".
std::string progress_text(const ProgressLine& line, size_t width);
/// At most `rows` lines of the progress: finished ones give way first.
std::vector<std::string> progress_block(const std::vector<ProgressLine>& lines, WindowSize size);

class Progress {
 public:
  enum class Style { kShown, kHidden };
  /// Writes to `out`; redraws where that is a terminal.
  Progress(FILE* out, Style style);

  /// Reads `connection`'s body to its end. Throws the error that the stream carries. Returns the last status without an id.
  std::string follow(http::Connection& connection);

 private:
  void take_message(std::string_view text);
  void print_plain(const ProgressLine& message, bool has_detail);
  void print_permanent(const std::string& text);
  void draw();

  FILE* out_;
  Style style_;
  std::optional<WindowSize> terminal_;
  std::vector<ProgressLine> lines_;
  std::string last_status_;
  size_t drawn_ = 0;
  bool changed_ = false;
};

}  // namespace bulkhead::cli
