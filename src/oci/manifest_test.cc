#include "oci/manifest.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>

#include "support/error.h"

namespace bulkhead::oci {
namespace {

const std::string kDigest = "sha256:" + std::string(64, 'b');
constexpr const char* kLayerType = "application/vnd.oci.image.layer.v1.tar+gzip";

std::string descriptor(const std::string& type, const std::string& size = "10", const std::string& more = "") {
  return fmt::format(R"({{"mediaType":"{}","digest":"{}","size":{}{}}})", type, kDigest, size, more);
}

std::string manifest(const std::string& layers, const std::string& more = "") {
  return fmt::format(R"({{"schemaVersion":2,"config":{},"layers":[{}]{}}})", descriptor("x"), layers, more);
}

ErrorCode code_of(const std::string& bytes, const std::string& type = "") {
  try {
    parse_manifest(bytes, type);
  } catch (const Error& error) {
    return error.code();
  }
  return ErrorCode::kAlreadyDone;  // nothing was thrown
}

TEST(DigestTest, HashesAndParses) {
  EXPECT_EQ(Hasher::of("abc").text(), "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(Hasher::of("abc", DigestAlgorithm::kSha512).short_id(), "ddaf35a19361");
  for (const std::string& bad :
       {std::string(), std::string("sha256:"), "sha256:" + std::string(63, 'a'), "sha256:" + std::string(64, 'A'),
        "sha256:../" + std::string(61, 'a'), "md5:" + std::string(32, 'a')}) {
    EXPECT_FALSE(Digest::try_parse(bad)) << bad;
  }
}

TEST(ManifestTest, ReadsManifestAndIndex) {
  auto document = parse_manifest(manifest(descriptor(kLayerType)), "");
  ASSERT_TRUE(std::holds_alternative<Manifest>(document));
  EXPECT_EQ(std::get<Manifest>(document).layers.at(0).size, 10);
  document = parse_manifest(R"({"schemaVersion":2,"manifests":[)" + descriptor("m") + "]}", "");
  ASSERT_TRUE(std::holds_alternative<Index>(document));
}

TEST(ManifestTest, RefusesWhatIsMalformed) {
  for (const std::string& bad :
       {std::string("{"), std::string("[]"), std::string("{}"), std::string(R"({"layers":[]})"),
        manifest(descriptor(kLayerType, "-1")), manifest(descriptor(kLayerType, "1e30")),
        manifest(descriptor(kLayerType, "\"1\"")), manifest(descriptor(kLayerType, "18446744073709551615")), manifest("3"),
        std::string(R"({"config":{"digest":"sha256:x","size":1},"layers":[]})"), std::string(200, '[')}) {
    EXPECT_EQ(code_of(bad), ErrorCode::kDataLoss) << bad;
  }
}

TEST(ManifestTest, RefusesAmbiguity) {
  EXPECT_EQ(code_of(manifest(descriptor(kLayerType), R"(,"manifests":[])")), ErrorCode::kDataLoss);
  EXPECT_EQ(code_of(manifest(descriptor(kLayerType)), "application/vnd.oci.image.index.v1+json"), ErrorCode::kDataLoss);
}

TEST(ManifestTest, RefusesWhatIsNotSupported) {
  EXPECT_EQ(code_of(R"({"schemaVersion":1,"fsLayers":[]})"), ErrorCode::kNotSupported);
  EXPECT_EQ(code_of(manifest(descriptor("application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"))),
            ErrorCode::kNotSupported);
  EXPECT_EQ(code_of(manifest(descriptor(kLayerType, "1", R"(,"urls":["http://169.254.169.254/"])"))), ErrorCode::kNotSupported);
  EXPECT_EQ(code_of(manifest(descriptor("application/vnd.in-toto+json"))), ErrorCode::kNotSupported);
  std::string many = descriptor(kLayerType);
  for (int i = 0; i < 127; ++i) {
    many += "," + descriptor(kLayerType);
  }
  EXPECT_EQ(code_of(manifest(many)), ErrorCode::kNotSupported);
}

TEST(ManifestTest, BoundsSize) {
  EXPECT_EQ(code_of(std::string(kMaxManifestSize + 1, ' ')), ErrorCode::kDataLoss);
  EXPECT_EQ(code_of(R"({"config":)" + descriptor("x", "16777217") + R"(,"layers":[]})"), ErrorCode::kDataLoss);
}

std::string chosen(const std::string& wanted, const std::vector<std::string>& offered) {
  Index index;
  for (const std::string& text : offered) {
    Platform platform = parse_platform(text);
    index.manifests.push_back({.media_type = text, .digest = Digest::parse(kDigest), .size = 1, .platform = platform});
  }
  const Descriptor* found = select_platform(index, parse_platform(wanted));
  return found == nullptr ? "" : found->media_type;
}

TEST(PlatformTest, SelectsTheBest) {
  EXPECT_EQ(chosen("linux/amd64", {"linux/arm64", "linux/386", "linux/amd64"}), "linux/amd64");
  EXPECT_EQ(chosen("linux/amd64", {"linux/arm64", "linux/386"}), "linux/386");
  EXPECT_EQ(chosen("linux/amd64", {"linux/amd64/v3"}), "");
  EXPECT_EQ(chosen("linux/amd64/v3", {"linux/amd64", "linux/amd64/v2"}), "linux/amd64/v2");
  EXPECT_EQ(chosen("linux/arm/v7", {"linux/arm/v5", "linux/arm/v6", "linux/arm64"}), "linux/arm/v6");
  EXPECT_EQ(chosen("linux/arm/v6", {"linux/arm/v7"}), "");
  EXPECT_EQ(chosen("linux/aarch64", {"linux/arm/v7", "linux/arm64/v8"}), "linux/arm64/v8");
  EXPECT_EQ(chosen("linux/arm64", {"linux/arm/v6", "linux/arm/v7"}), "linux/arm/v7");
  EXPECT_EQ(chosen("linux/amd64", {"windows/amd64"}), "");
  EXPECT_THROW(parse_platform("linux/amd64/v1/x"), Error);
  EXPECT_THROW(parse_platform("linux/../x"), Error);
}

}  // namespace
}  // namespace bulkhead::oci
