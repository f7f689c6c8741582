#include "cli/progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <nlohmann/json.hpp>

#include "cli/json_fields.h"
#include "cli/quantities.h"
#include "cli/table.h"
#include "support/error.h"

namespace bulkhead::cli {
namespace {

using nlohmann::json;

constexpr size_t kLongestBar = 50;
constexpr size_t kShortestBar = 8;
constexpr size_t kMessageLimit = 1 << 20;
constexpr std::chrono::milliseconds kQuiet{40};

bool is_finished(const ProgressLine& line) {
  return line.status == "Pull complete" || line.status == "Already exists" || line.status == "Download complete";
}

std::string bar(const ProgressLine& line, size_t width) {
  size_t filled = std::min(width, static_cast<size_t>(static_cast<double>(line.current) / static_cast<double>(line.total) *
                                                      static_cast<double>(width)));
  return fmt::format("[{}{}{}]", std::string(filled, '='), filled < width ? ">" : "",
                     std::string(filled < width ? width - filled - 1 : 0, ' '));
}

std::string error_of(const json& message) {
  std::string detail = text_at(field(message, "errorDetail"), "message");
  return detail.empty() ? text_at(message, "error") : detail;
}

}  // namespace

std::string progress_text(const ProgressLine& line, size_t width) {
  std::string text = fmt::format("{}: {}", line.id, line.status);
  if (line.current <= 0 && line.total <= 0) {
    return cut(text, width);
  }
  std::string amount = line.total > 0 ? fmt::format("{:>8}/{}", human_size(static_cast<double>(line.current), 4),
                                                    human_size(static_cast<double>(line.total), 4))
                                      : fmt::format("{:>8}", human_size(static_cast<double>(line.current), 4));
  size_t used = display_width(text) + 1 + 2 + 1 + amount.size();  // blanks and brackets
  if (line.total > 0 && used + kShortestBar <= width) {
    text += " " + bar(line, std::min(kLongestBar, width - used));
  }
  return cut(text + " " + amount, width);
}

std::vector<std::string> progress_block(const std::vector<ProgressLine>& lines, WindowSize size) {
  size_t room = std::max<size_t>(size.rows, 3) - 2;
  bool all_fit = lines.size() <= room;
  size_t finished_room = all_fit ? lines.size() : 0;
  if (!all_fit) {
    auto unfinished =
        static_cast<size_t>(std::count_if(lines.begin(), lines.end(), [](const auto& line) { return !is_finished(line); }));
    finished_room = room - 1 > unfinished ? room - 1 - unfinished : 0;
  }
  std::vector<std::string> block;
  size_t left_out = 0;
  for (const ProgressLine& line : lines) {
    bool finished = is_finished(line);
    bool fits = all_fit || (block.size() < room - 1 && (!finished || finished_room > 0));
    if (!fits) {
      ++left_out;
      continue;
    }
    finished_room -= finished && finished_room > 0 ? 1 : 0;
    block.push_back(progress_text(line, size.columns - 1));
  }
  if (left_out > 0) {
    block.push_back(cut(fmt::format("and {} more", left_out), size.columns - 1));
  }
  return block;
}

Progress::Progress(FILE* out, Style style) : out_(out), style_(style), terminal_(window_size(fileno(out))) {}

std::string Progress::follow(http::Connection& connection) {
  std::string pending;
  std::string buffer(32768, '\0');
  auto last_draw = std::chrono::steady_clock::time_point();
  for (;;) {
    bool more_is_there = connection.wait_readable(std::chrono::milliseconds(0));
    auto time = std::chrono::steady_clock::now();
    if (changed_ && (!more_is_there || time - last_draw > kQuiet)) {
      draw();
      last_draw = time;
    }
    size_t count = connection.receive(buffer.data(), buffer.size());
    if (count == 0) {
      break;
    }
    pending.append(buffer, 0, count);
    size_t start = 0;
    for (size_t end = pending.find('\n'); end != std::string::npos; end = pending.find('\n', start)) {
      take_message(std::string_view(pending).substr(start, end - start));
      start = end + 1;
    }
    pending.erase(0, start);
    if (pending.size() > kMessageLimit) {
      throw Error(ErrorCode::kDataLoss, "the engine's progress messages are damaged");
    }
  }
  take_message(pending);
  draw();
  (void)fflush(out_);
  return last_status_;
}

void Progress::take_message(std::string_view text) {
  if (text.find_first_not_of(" \r\n\t") == std::string_view::npos) {
    return;
  }
  json message = json::parse(text, nullptr, false);
  if (!message.is_object()) {
    throw Error(ErrorCode::kDataLoss, "the engine's progress messages are damaged");
  }
  if (std::string error = error_of(message); !error.empty()) {
    draw();
    throw Error(ErrorCode::kInternal, std::move(error));
  }
  ProgressLine line{.id = printable(text_at(message, "id")), .status = printable(text_at(message, "status"))};
  std::string stream = text_at(message, "stream");
  if (!stream.empty()) {
    line.status = printable(stream.substr(0, stream.find_last_not_of("\r\n") + 1));
  }
  const json& detail = field(message, "progressDetail");
  bool has_detail = detail.is_object() && !detail.empty();
  line.current = number_at(detail, "current");
  line.total = number_at(detail, "total");
  if (line.id.empty()) {
    last_status_ = line.status;
  }
  if (style_ == Style::kHidden || (line.id.empty() && line.status.empty())) {
    return;
  }
  if (!terminal_) {
    print_plain(line, has_detail);
  } else if (line.id.empty() || line.status.starts_with("Pulling from ")) {
    print_permanent(line.id.empty() ? line.status : fmt::format("{}: {}", line.id, line.status));
  } else {
    auto known = std::find_if(lines_.begin(), lines_.end(), [&](const auto& other) { return other.id == line.id; });
    if (known == lines_.end()) {
      lines_.push_back(std::move(line));
    } else {
      *known = std::move(line);
    }
    changed_ = true;
  }
}

void Progress::print_plain(const ProgressLine& message, bool has_detail) {
  if (has_detail) {
    return;  // a bar without a terminal would be a line for every few kilobytes
  }
  fmt::print(out_, "{}{}{}\n", message.id, message.id.empty() ? "" : ": ", message.status);
}

void Progress::print_permanent(const std::string& text) {
  draw();
  drawn_ = 0;
  lines_.clear();
  fmt::print(out_, "{}\n", text);
}

void Progress::draw() {
  if (!changed_ || !terminal_) {
    return;
  }
  terminal_ = window_size(fileno(out_)).value_or(*terminal_);
  std::vector<std::string> block = progress_block(lines_, *terminal_);
  std::string text = drawn_ > 0 ? fmt::format("\x1b[{}A", drawn_) : "";
  for (const std::string& line : block) {
    text += fmt::format("\x1b[2K{}\r\n", line);
  }
  for (size_t i = block.size(); i < drawn_; ++i) {
    text += "\x1b[2K\r\n";
  }
  drawn_ = std::max(drawn_, block.size());
  fmt::print(out_, "{}", text);
  (void)fflush(out_);
  changed_ = false;
}

}  // namespace bulkhead::cli
