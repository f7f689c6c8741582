#include "host/host_kind.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "support/files.h"

namespace bulkhead::host {
namespace {

struct Case {
  HostEvidence evidence;
  HostKind kind;
  const char* because;
};

class EveryMachine : public testing::TestWithParam<Case> {};

TEST_P(EveryMachine, IsWhatItSays) {
  HostFinding found = decide_kind(GetParam().evidence);
  EXPECT_EQ(found.kind, GetParam().kind) << found.because;
  EXPECT_NE(found.because.find(GetParam().because), std::string::npos) << found.because;
}

constexpr HostKind kServer = HostKind::kServer;
constexpr HostKind kWorkstation = HostKind::kWorkstation;

const Case kCases[] = {
    // Nothing, or nothing that means anything: a container, Firecracker (no DMI), QEMU (type 1, "Other").
    {{{}, "", ""}, kServer, "no chassis type"},
    {{{}, "", "graphical.target"}, kServer, "no chassis type"},
    {{1, "", "graphical.target"}, kServer, "type 1 (other)"},
    {{2, "", "graphical.target"}, kServer, "type 2 (other)"},
    {{-5, "", ""}, kServer, "other"},
    {{100000, "", ""}, kServer, "other"},
    // The machine's shape.
    {{9, "", "graphical.target"}, kWorkstation, "laptop"},
    {{10, "", "multi-user.target"}, kWorkstation, "notebook"},
    {{31, "", ""}, kWorkstation, "convertible"},
    {{23, "", "graphical.target"}, kServer, "rack mount"},
    {{17, "", "graphical.target"}, kServer, "main server"},
    {{3, "", "graphical.target"}, kWorkstation, "desktop) with graphical.target"},
    {{3, "", "multi-user.target"}, kServer, "desktop) with multi-user.target"},
    {{7, "", ""}, kServer, "tower"},
    // The distribution's word counts before the shape.
    {{23, "workstation", "graphical.target"}, kWorkstation, "VARIANT_ID=workstation"},
    {{9, "server", "graphical.target"}, kServer, "VARIANT_ID=server"},
    {{9, "cloud", ""}, kServer, "VARIANT_ID=cloud"},
    {{9, "somethingelse", ""}, kWorkstation, "laptop"},
};

INSTANTIATE_TEST_SUITE_P(HostKind, EveryMachine, testing::ValuesIn(kCases));

class EvidenceTest : public testing::Test {
 protected:
  EvidenceTest() {
    std::string pattern = testing::TempDir() + "host-kind-XXXXXX";
    root_ = ::mkdtemp(pattern.data());
  }
  ~EvidenceTest() override { std::filesystem::remove_all(root_); }

  void write(const std::string& path, const std::string& text) {
    make_folders((root_ / path).parent_path());
    replace_file(root_ / path, text, 0644, Durability::kUnsynced);
  }

  std::filesystem::path root_;
};

TEST_F(EvidenceTest, NothingIsThere) {
  HostEvidence evidence = read_evidence(root_);
  EXPECT_FALSE(evidence.chassis_type);
  EXPECT_EQ(evidence.variant_id + evidence.default_target, "");
}

TEST_F(EvidenceTest, IsRead) {
  write("sys/class/dmi/id/chassis_type", "10\n");
  write("etc/os-release", "NAME=\"X\"\nVARIANT=\"Y\"\nVARIANT_ID=\"workstation\"\n");
  write("usr/lib/systemd/system/x", "");
  std::filesystem::create_symlink("graphical.target", root_ / "usr/lib/systemd/system/default.target");
  HostEvidence evidence = read_evidence(root_);
  EXPECT_EQ(evidence.chassis_type, 10);
  EXPECT_EQ(evidence.variant_id, "workstation");
  EXPECT_EQ(evidence.default_target, "graphical.target");
  write("etc/systemd/system/x", "");
  std::filesystem::create_symlink("/lib/systemd/system/multi-user.target", root_ / "etc/systemd/system/default.target");
  EXPECT_EQ(read_evidence(root_).default_target, "multi-user.target");
}

TEST_F(EvidenceTest, NonsenseIsNoEvidence) {
  write("sys/class/dmi/id/chassis_type", "laptop\n");
  write("etc/os-release", std::string(1 << 20, 'V') + "\nVARIANT_ID=workstation\n");
  HostEvidence evidence = read_evidence(root_);
  EXPECT_FALSE(evidence.chassis_type);
  EXPECT_EQ(evidence.variant_id, "");
}

}  // namespace
}  // namespace bulkhead::host
