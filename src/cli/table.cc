#include "cli/table.h"

#include <algorithm>
#include <numeric>

namespace bulkhead::cli {
namespace {

constexpr size_t kGap = 3;        // between columns, as docker's
constexpr size_t kNarrowest = 8;  // no column is cut below this
constexpr std::string_view kEllipsis = "\u2026";

bool continues_code_point(char byte) { return (static_cast<unsigned char>(byte) & 0xC0) == 0x80; }

}  // namespace

size_t display_width(std::string_view text) {
  return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char byte) { return !continues_code_point(byte); }));
}

std::string cut(std::string_view text, size_t width) {
  if (display_width(text) <= width) {
    return std::string(text);
  }
  if (width == 0) {
    return "";
  }
  size_t end = 0;
  for (size_t seen = 0; end < text.size(); ++end) {
    if (!continues_code_point(text[end]) && seen++ == width - 1) {
      break;
    }
  }
  return std::string(text.substr(0, end)).append(kEllipsis);
}

std::string printable(std::string_view text) {
  std::string clean;
  for (size_t i = 0; i < text.size(); ++i) {
    auto byte = static_cast<unsigned char>(text[i]);
    // U+0080 to U+009F, the C1 controls, are C2 80 to C2 9F in UTF-8.
    bool c1 = byte == 0xC2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xA0;
    if (byte < 0x20 || byte == 0x7F || c1) {
      clean += '?';
      i += c1 ? 1 : 0;
    } else {
      clean += text[i];
    }
  }
  return clean;
}

void Table::add(std::vector<std::string> row) {
  for (std::string& cell : row) {
    cell = printable(cell);
  }
  rows_.push_back(std::move(row));
}

std::vector<size_t> Table::fitted_widths(size_t width) const {
  std::vector<size_t> widths(rows_.front().size());
  for (const auto& row : rows_) {
    for (size_t i = 0; i < row.size() && i < widths.size(); ++i) {
      widths[i] = std::max(widths[i], display_width(row[i]));
    }
  }
  auto total = [&] { return std::accumulate(widths.begin(), widths.end(), size_t{0}) + kGap * (widths.size() - 1); };
  while (width > 0 && total() > width) {
    auto widest = std::max_element(widths.begin(), widths.end());
    if (*widest <= kNarrowest) {
      break;
    }
    --*widest;
  }
  return widths;
}

std::string Table::text(size_t width) const {
  std::vector<size_t> widths = fitted_widths(width);
  std::string out;
  for (const auto& row : rows_) {
    std::string line;
    for (size_t i = 0; i < row.size() && i < widths.size(); ++i) {
      std::string cell = cut(row[i], widths[i]);
      line += cell;
      if (i + 1 < row.size()) {
        line.append(widths[i] - display_width(cell) + kGap, ' ');
      }
    }
    out.append(line, 0, line.find_last_not_of(' ') + 1).append("\n");
  }
  return out;
}

}  // namespace bulkhead::cli
