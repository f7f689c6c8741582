// `docker load` and `docker import`: good archives of each kind, and broken ones that leave nothing.
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "oci/digest.h"
#include "store_fixture.h"
#include "support/files.h"

namespace bulkhead::test {
namespace {

using archive::ArchiveBuilder;

image::ImageStore::ByteSource source_of(const std::string& bytes) {
  return [&bytes, position = size_t{0}](char* buffer, size_t size) mutable {
    size_t count = bytes.copy(buffer, std::min<size_t>(size, 10'000), position);
    position += count;
    return count;
  };
}

std::string config_of(const std::vector<std::string>& layers) {
  std::string diff_ids;
  for (const std::string& layer : layers) {
    diff_ids += fmt::format("{}\"{}\"", diff_ids.empty() ? "" : ",", oci::Hasher::of(layer).text());
  }
  return fmt::format(R"({{"architecture":"amd64","os":"linux","rootfs":{{"type":"layers","diff_ids":[{}]}}}})", diff_ids);
}

std::string hex(const std::string& bytes) { return std::string(oci::Hasher::of(bytes).hex()); }

class ArchiveTest : public StoreFixture {
 protected:
  std::vector<std::string> load(const std::string& bytes) { return images_->load(source_of(bytes), {}); }
  Error load_error(const std::string& bytes) {
    return error_of([&] { load(bytes); });
  }

  /// As docker 20.10 saves: folders, links for what repeats, manifest.json last.
  std::string docker_archive(const std::string& tags = R"(["app:1"])") {
    std::string config = config_of({lower_, upper_, lower_});
    ArchiveBuilder builder;
    builder.folder("aa/").file("aa/VERSION", "1.0").file("aa/json", "{}").file("aa/layer.tar", lower_);
    builder.folder("bb/").file("bb/layer.tar", upper_).folder("cc/").symlink("cc/layer.tar", "../aa/layer.tar");
    builder.file(hex(config) + ".json", config);
    builder.file(
        "manifest.json",
        fmt::format(R"([{{"Config":"{}.json","RepoTags":{},"Layers":["aa/layer.tar","bb/layer.tar","cc/layer.tar"]}}])",
                    hex(config), tags));
    return builder.finish();
  }

  std::string oci_layout(const std::string& name) {
    std::string config = config_of({lower_, upper_});
    std::string manifest = fmt::format(
        R"({{"schemaVersion":2,"config":{{"mediaType":"application/vnd.oci.image.config.v1+json","digest":"sha256:{}","size":{}}},)"
        R"("layers":[{{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"sha256:{}","size":{}}},)"
        R"({{"mediaType":"application/vnd.oci.image.layer.v1.tar","digest":"sha256:{}","size":{}}}]}})",
        hex(config), config.size(), hex(lower_), lower_.size(), hex(upper_), upper_.size());
    std::string index = fmt::format(
        R"({{"schemaVersion":2,"manifests":[{{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"sha256:{}",)"
        R"("size":{},"annotations":{{"org.opencontainers.image.ref.name":"{}"}}}}]}})",
        hex(manifest), manifest.size(), name);
    ArchiveBuilder builder;
    builder.file("oci-layout", R"({"imageLayoutVersion":"1.0.0"})").file("index.json", index).folder("blobs/sha256/");
    for (const std::string& blob : {config, manifest, lower_, upper_}) {
      builder.file("blobs/sha256/" + hex(blob), blob);
    }
    return builder.finish();
  }

  std::string lower_ = layer_of("a", "lower");
  std::string upper_ = layer_of("b", std::string(100'000, 'u'));
};

TEST_F(ArchiveTest, DockerArchive) {
  EXPECT_EQ(load(docker_archive()), std::vector<std::string>{"Loaded image: app:1"});
  image::Image image = images_->find("app:1");
  ASSERT_EQ(image.chain_ids.size(), 3U);
  for (size_t i : {0U, 2U}) {  // one archive member, two layers
    EXPECT_EQ(read_file(layers_->folder(image.chain_ids[i]) / "a"), "lower");
  }
  EXPECT_EQ(load(docker_archive()), std::vector<std::string>{"Loaded image: app:1"});
  EXPECT_EQ(images_->list().size(), 1U);
  images_->remove("app:1", image::ImageStore::Force::kNo, {});
  expect_nothing_left();
  EXPECT_EQ(load(docker_archive("null")), std::vector<std::string>{"Loaded image ID: " + image.id});
}

TEST_F(ArchiveTest, OciLayout) {
  EXPECT_EQ(load(oci_layout("docker.io/library/app:2")), std::vector<std::string>{"Loaded image: app:2"});
  image::Image image = images_->find("app:2");
  EXPECT_EQ(load(oci_layout("2")), std::vector<std::string>{"Loaded image ID: " + image.id});
}

TEST_F(ArchiveTest, BrokenArchivesLeaveNothing) {
  std::string docker = docker_archive();
  std::string layout = oci_layout("a:1");
  std::string no_layer = docker;
  no_layer.replace(no_layer.rfind("bb/layer.tar"), 12, "xx/layer.tar");
  std::string swapped = docker;
  swapped.replace(swapped.rfind("\"aa/layer.tar\",\"bb/layer.tar\""), 29, "\"bb/layer.tar\",\"aa/layer.tar\"");
  std::string wrong_blob = layout;
  wrong_blob[wrong_blob.find("uuuuu")] = 'v';
  std::string cut(layout.data(), layout.size() / 2);
  for (const std::string& broken :
       {no_layer, swapped, wrong_blob, cut, std::string("junk"), std::string(20'000, 'x'), std::string(),
        ArchiveBuilder().file("manifest.json", "[{}]").finish(), ArchiveBuilder().file("manifest.json", "{").finish(),
        ArchiveBuilder().file("manifest.json", R"([{"Config":"../../etc/passwd","Layers":[]}])").finish(),
        ArchiveBuilder().file("../manifest.json", "[]").finish(), docker_archive(R"(["Bad Name"])")}) {
    Error error = load_error(broken);
    EXPECT_TRUE(error.code() == ErrorCode::kDataLoss || error.code() == ErrorCode::kInvalidArgument) << error.message();
    expect_nothing_left();
  }
}

TEST_F(ArchiveTest, ClientThatBreaksOff) {
  std::string bytes = docker_archive();
  Error error = error_of([&] {
    images_->load(
        [&, done = size_t{0}](char* buffer, size_t size) mutable -> size_t {
          if (done > 20'000) {
            throw Error(ErrorCode::kUnavailable, "client gone");
          }
          size_t count = bytes.copy(buffer, std::min<size_t>(size, 7000), done);
          done += count;
          return count;
        },
        {});
  });
  EXPECT_EQ(error.message(), "client gone");
  expect_nothing_left();
}

TEST_F(ArchiveTest, Import) {
  std::string rootfs = layer_of("bin/sh", "x");
  image::Image image = images_->import(
      {.reference = "base", .message = "by hand", .changes = {"CMD [\"sh\"]", "ENV A=b"}, .platform = {}}, source_of(rootfs));
  EXPECT_EQ(image.tags, std::vector<std::string>{"base:latest"});
  EXPECT_EQ(image.config.cmd, std::vector<std::string>{"sh"});
  EXPECT_EQ(image.comment, "by hand");
  EXPECT_EQ(image.diff_ids, std::vector<std::string>{oci::Hasher::of(rootfs).text()});
  images_->remove("base", image::ImageStore::Force::kNo, {});
  EXPECT_EQ(error_of([&] {
              images_->import({.reference = "B", .message = {}, .changes = {}, .platform = {}}, source_of(rootfs));
            }).code(),
            ErrorCode::kInvalidArgument);
  EXPECT_EQ(error_of([&] {
              images_->import({.reference = "", .message = {}, .changes = {"RUN x"}, .platform = {}}, source_of(rootfs));
            }).message(),
            "RUN is not a valid change command");
  std::string cut = rootfs.substr(0, 600);
  EXPECT_EQ(error_of([&] {
              images_->import({.reference = "", .message = {}, .changes = {}, .platform = {}}, source_of(cut));
            }).code(),
            ErrorCode::kDataLoss);
  expect_nothing_left();
}

}  // namespace
}  // namespace bulkhead::test
