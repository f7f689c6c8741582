// The few shapes that our pictures are made of, as SVG 1.1. Sizes are in pixels. Pure.
#pragma once

#include <string>
#include <string_view>

namespace bulkhead::cli {

/// SECURITY: text for XML 1.0: what has a meaning there is escaped; what may not stand there (control characters, broken
/// UTF-8) becomes '?'.
std::string xml_text(std::string_view text);

struct Box {
  int x = 0, y = 0, width = 0, height = 0;
};

struct BoxStyle {
  const char* fill = "none";
  const char* stroke = "none";
  int stroke_width = 1;
  int radius = 8;
  const char* dashes = "";
};

enum class Weight { kNormal, kBold };
enum class Anchor { kStart, kMiddle, kEnd };

struct TextStyle {
  int size = 12;
  const char* fill = "#1f2937";
  Weight weight = Weight::kNormal;
  Anchor anchor = Anchor::kStart;
};

class Svg {
 public:
  void box(const Box& box, const BoxStyle& style, std::string_view tooltip = "");
  /// One line, cut with an ellipsis where it would be wider than `width`; `y` is the baseline.
  void text(int x, int y, int width, std::string_view text, const TextStyle& style = {});
  /// The whole document.
  std::string document(int width, int height, std::string_view title) const;

 private:
  std::string body_;
};

}  // namespace bulkhead::cli
