#include "cli/svg.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdint>

namespace bulkhead::cli {
namespace {

struct CodePoint {
  uint32_t value = 0;
  size_t length = 0;  // bytes; 0: no UTF-8
};

CodePoint read_code_point(std::string_view text) {
  auto first = static_cast<unsigned char>(text[0]);
  size_t length = first < 0x80 ? 1 : first >> 5 == 6 ? 2 : first >> 4 == 14 ? 3 : first >> 3 == 30 ? 4 : 0;
  if (length == 0 || length > text.size()) {
    return {};
  }
  uint32_t value = length == 1 ? first : first & (0x7fU >> length);
  for (size_t i = 1; i < length; ++i) {
    auto next = static_cast<unsigned char>(text[i]);
    if (next >> 6 != 2) {
      return {};
    }
    value = value << 6 | (next & 0x3fU);
  }
  constexpr uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
  return value < kLeast[length] ? CodePoint{} : CodePoint{value, length};
}

/// Extensible Markup Language 1.0, section 2.2; without what moves the cursor or the direction of writing.
bool may_stand(uint32_t value) {
  bool control = value < 0x20 || (value >= 0x7f && value < 0xa0);
  bool direction =
      (value >= 0x200e && value <= 0x200f) || (value >= 0x202a && value <= 0x202e) || (value >= 0x2066 && value <= 0x2069);
  bool surrogate = value >= 0xd800 && value <= 0xdfff;
  return !control && !direction && !surrogate && value != 0xfffe && value != 0xffff && value <= 0x10ffff;
}

const char* anchor_name(Anchor anchor) {
  return anchor == Anchor::kStart ? "start" : anchor == Anchor::kMiddle ? "middle" : "end";
}

/// Thousandths of the font's size; of DejaVu Sans, which is wider than most.
int width_of(std::string_view letter) {
  constexpr std::string_view kNarrow = "ijlI.,:;'|!()[]/ ftr-\"";
  constexpr std::string_view kWide = "mwMW@%&";
  if (letter.size() > 1 || kWide.find(letter[0]) != std::string_view::npos) {
    return 1000;
  }
  bool capital = letter[0] >= 'A' && letter[0] <= 'Z';
  return kNarrow.find(letter[0]) != std::string_view::npos ? 400 : capital ? 720 : 620;
}

/// The beginning that fits, with an ellipsis where it isn't all.
std::string fitting(std::string_view text, int width, const TextStyle& style) {
  int64_t room = static_cast<int64_t>(width) * 1000 / style.size;
  room = style.weight == Weight::kBold ? room * 90 / 100 : room;
  constexpr int kEllipsis = 1000;
  int64_t used = 0;
  size_t kept = 0;  // bytes that fit with an ellipsis behind them
  for (size_t i = 0; i < text.size();) {
    size_t length = std::min(std::max<size_t>(read_code_point(text.substr(i)).length, 1), text.size() - i);
    used += width_of(text.substr(i, length));
    i += length;
    if (used + kEllipsis <= room) {
      kept = i;
    }
    if (used > room) {
      return std::string(text.substr(0, kept)) + "\u2026";
    }
  }
  return std::string(text);
}

}  // namespace

std::string xml_text(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    CodePoint point = read_code_point(text);
    std::string_view bytes = text.substr(0, std::max<size_t>(point.length, 1));
    text.remove_prefix(bytes.size());
    if (point.length == 0 || !may_stand(point.value)) {
      out += '?';
    } else if (bytes == "<") {
      out += "&lt;";
    } else if (bytes == ">") {
      out += "&gt;";
    } else if (bytes == "&") {
      out += "&amp;";
    } else if (bytes == "\"") {
      out += "&quot;";
    } else if (bytes == "'") {
      out += "&#39;";
    } else {
      out += bytes;
    }
  }
  return out;
}

void Svg::box(const Box& box, const BoxStyle& style, std::string_view tooltip) {
  body_ += fmt::format(R"(<rect x="{}" y="{}" width="{}" height="{}" rx="{}" fill="{}" stroke="{}" stroke-width="{}")", box.x,
                       box.y, box.width, box.height, style.radius, style.fill, style.stroke, style.stroke_width);
  if (*style.dashes != '\0') {
    body_ += fmt::format(R"( stroke-dasharray="{}")", style.dashes);
  }
  body_ += tooltip.empty() ? "/>\n" : fmt::format("><title>{}</title></rect>\n", xml_text(tooltip));
}

void Svg::text(int x, int y, int width, std::string_view text, const TextStyle& style) {
  body_ += fmt::format(R"(<text x="{}" y="{}" font-size="{}" fill="{}" text-anchor="{}"{}>{}</text>)", x, y, style.size,
                       style.fill, anchor_name(style.anchor), style.weight == Weight::kBold ? R"( font-weight="bold")" : "",
                       xml_text(fitting(text, width, style)));
  body_ += '\n';
}

std::string Svg::document(int width, int height, std::string_view title) const {
  return fmt::format(
      R"(<?xml version="1.0" encoding="UTF-8"?>
<svg xmlns="http://www.w3.org/2000/svg" width="{0}" height="{1}" viewBox="0 0 {0} {1}" font-family="DejaVu Sans, Verdana, sans-serif">
<title>{2}</title>
<rect width="{0}" height="{1}" fill="#ffffff"/>
{3}</svg>
)",
      width, height, xml_text(title), body_);
}

}  // namespace bulkhead::cli
