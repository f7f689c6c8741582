#include "doctor/report.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace bulkhead::doctor {
namespace {

const Check kFine{.subject = "kernel", .found = "Linux", .remedy = {}};
const Check kSlow{.need = Need::kHyperv, .health = Health::kWeak, .subject = "KVM", .found = "no", .remedy = "buy one"};
const Check kNoQemu{.need = Need::kHyperv, .health = Health::kMissing, .subject = "QEMU", .found = "no", .remedy = "apt"};
const Check kNoOverlay{.health = Health::kMissing, .subject = "overlayfs", .found = "no", .remedy = "modprobe overlay"};

TEST(ReportTest, AModeWorksWhereNothingIsMissing) {
  EXPECT_TRUE(works({kFine, kSlow}, Need::kProcess));
  EXPECT_TRUE(works({kFine, kSlow}, Need::kHyperv));
  EXPECT_TRUE(works({kFine, kNoQemu}, Need::kProcess));
  EXPECT_FALSE(works({kFine, kNoQemu}, Need::kHyperv));
  // hyperv isolation stands on process isolation's ground.
  EXPECT_FALSE(works({kNoOverlay}, Need::kProcess));
  EXPECT_FALSE(works({kNoOverlay}, Need::kHyperv));
}

TEST(ReportTest, TextHasTheRemedyBelowWhatIsMissing) {
  std::string text = report_text({kFine, kNoOverlay, kSlow});
  EXPECT_LT(text.find("MISSING  overlayfs"), text.find("-> modprobe overlay"));
  EXPECT_LT(text.find("-> modprobe overlay"), text.find("hyperv isolation\n"));
  EXPECT_NE(text.find("process isolation does not work on this host: 1 missing."), std::string::npos) << text;
}

TEST(ReportTest, JsonHasEverything) {
  auto json = nlohmann::json::parse(report_json({kFine, kNoQemu}));
  EXPECT_EQ(json["Process"]["Works"], true);
  EXPECT_EQ(json["Hyperv"]["Works"], false);
  ASSERT_EQ(json["Checks"].size(), 2U);
  EXPECT_EQ(json["Checks"][1]["Health"], "missing");
  EXPECT_EQ(json["Checks"][1]["Remedy"], "apt");
}

}  // namespace
}  // namespace bulkhead::doctor
