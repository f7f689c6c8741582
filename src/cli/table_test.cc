#include "cli/table.h"

#include <gtest/gtest.h>

namespace bulkhead::cli {
namespace {

TEST(Cut, CountsCodePointsAndEndsInAnEllipsis) {
  EXPECT_EQ(cut("abc", 3), "abc");
  EXPECT_EQ(cut("abcd", 3), "ab…");
  EXPECT_EQ(cut("äöüß", 4), "äöüß");
  EXPECT_EQ(cut("äöüß", 3), "äö…");
  EXPECT_EQ(cut("abcd", 0), "");
}

TEST(Printable, TakesTheTeethOutOfEscapeSequences) {
  EXPECT_EQ(printable("\x1b[2Jname\r\n\x7f"), "?[2Jname???");
  EXPECT_EQ(printable("a\xC2\x9B"
                      "31mb"),
            "a?31mb");  // U+009B is CSI
  EXPECT_EQ(printable("größe"), "größe");
}

TEST(Table, AlignsColumns) {
  Table table({"ID", "NAME"});
  table.add({"1", "a long one"});
  table.add({"22", ""});
  EXPECT_EQ(table.text(0), "ID   NAME\n1    a long one\n22\n");
}

TEST(Table, FitsTheTerminalByCuttingTheWidest) {
  Table table({"ID", "COMMAND", "NAMES"});
  table.add({"0123456789ab", std::string(60, 'x'), "short"});
  std::string text = table.text(50);
  size_t start = 0;
  while (start < text.size()) {
    size_t end = text.find('\n', start);
    EXPECT_LE(display_width(text.substr(start, end - start)), 50U);
    start = end + 1;
  }
  EXPECT_NE(text.find("0123456789ab"), std::string::npos);
  EXPECT_NE(text.find("short"), std::string::npos);
  EXPECT_NE(text.find("x…"), std::string::npos);
}

TEST(Table, StaysReadableWhereNothingFits) {
  Table table({"A", "B"});
  table.add({std::string(30, 'a'), std::string(30, 'b')});
  EXPECT_EQ(table.text(5), "A          B\naaaaaaa…   bbbbbbb…\n");
}

}  // namespace
}  // namespace bulkhead::cli
