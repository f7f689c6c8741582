#include "cli/format_template.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "support/error.h"

namespace bulkhead::cli {
namespace {

const auto kValue = nlohmann::ordered_json::parse(R"({"Z": 1, "A": {"Text": "x", "No": null, "List": ["a", 2], "Yes": true}})");

TEST(FormatTemplate, PutsFieldsIn) {
  EXPECT_EQ(format_template("{{.A.Text}}:{{ .Z }}\\t{{.A.Yes}}", kValue), "x:1\ttrue");
  EXPECT_EQ(format_template("{{.A.List}} {{.A.No}}", kValue), "[a 2] <no value>");
  EXPECT_EQ(format_template("{{json .A.Text}} {{json .A.List}}", kValue), "\"x\" [\"a\",2]");
  EXPECT_EQ(format_template("no field", kValue), "no field");
}

TEST(FormatTemplate, KeepsTheOrderOfFields) {
  EXPECT_EQ(format_row("json", kValue), R"({"Z":1,"A":{"Text":"x","No":null,"List":["a",2],"Yes":true}})");
  EXPECT_EQ(format_template("{{json .}}", kValue), format_row("json", kValue));
}

TEST(FormatTemplate, SaysWhatItCannotDo) {
  EXPECT_THROW(format_template("{{range .A}}{{end}}", kValue), Error);
  EXPECT_THROW(format_template("{{.A.Bogus}}", kValue), Error);
  EXPECT_THROW(format_template("{{.A", kValue), Error);
}

}  // namespace
}  // namespace bulkhead::cli
