#include "cli/svg.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace bulkhead::cli {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(Svg, TextCanNotBecomeMarkup) {
  EXPECT_EQ(xml_text("<script>&\"'</script>"), "&lt;script&gt;&amp;&quot;&#39;&lt;/script&gt;");
  Svg svg;
  svg.text(0, 0, 1000, "</text><script>alert(1)</script>");
  svg.box({.width = 1, .height = 1}, {}, "</title></rect><script/>");
  std::string document = svg.document(10, 10, "]]></title><script/>");
  EXPECT_THAT(document, Not(HasSubstr("<script")));
}

TEST(Svg, WhatXmlDoesNotHaveIsReplaced) {
  EXPECT_EQ(xml_text(std::string_view("a\0\x1b[2J\x7f", 7)), "a??[2J?");
  EXPECT_EQ(xml_text("\xff\xc0\xaf\xed\xa0\x80x"), "????x");  // no UTF-8, an overlong slash, a surrogate
  EXPECT_EQ(xml_text("caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80"), "caf\xc3\xa9 \xe2\x82\xac \xf0\x9f\x98\x80");
  EXPECT_EQ(xml_text("\xe2\x80\xae"
                     "exe"),
            "?exe");                      // turns the direction of writing
  EXPECT_EQ(xml_text("\xe2\x82"), "??");  // cut in the middle
}

TEST(Svg, WhatIsTooWideIsCut) {
  Svg svg;
  svg.text(0, 0, 100, std::string(500, 'x'));
  EXPECT_LT(svg.document(1, 1, "").size(), 600U);
}

}  // namespace
}  // namespace bulkhead::cli
