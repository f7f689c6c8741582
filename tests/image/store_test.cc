// What stays: names, removal, crashes, a full disk, and real overlay mounts of what was unpacked.
#include <fcntl.h>
#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "image/layer_writer.h"
#include "oci/digest.h"
#include "store_fixture.h"
#include "support/files.h"

namespace bulkhead::test {
namespace {

using archive::ArchiveBuilder;
using Force = image::ImageStore::Force;
using User = image::ImageStore::User;

class StoreTest : public StoreFixture {
 protected:
  image::Image import(const std::string& name, const std::string& content) {
    std::string bytes = layer_of("f", content);
    return import_layer(name, bytes);
  }
  image::Image import_layer(const std::string& name, const std::string& bytes) {
    return images_->import({.reference = name, .message = {}, .changes = {}, .platform = {}},
                           [&, position = size_t{0}](char* buffer, size_t size) mutable {
                             size_t count = bytes.copy(buffer, size, position);
                             position += count;
                             return count;
                           });
  }
  /// Adds a layer to the store; `pins` keeps it.
  std::string add_layer(const std::string& parent, const std::function<void(const std::filesystem::path&)>& fill) {
    storage::NewLayer layer = layers_->begin();
    fill(fmt::format("/proc/self/fd/{}", layer.folder()));
    pins_.push_back(layers_->commit(std::move(layer), oci::Hasher::of(std::to_string(pins_.size())).text(), parent, 0));
    return pins_.back().info().chain_id;
  }
  /// Runs `body` in a child with the snapshot mounted on a folder, in a mount namespace of its own; its result.
  int with_mount(const std::string& id, const std::function<bool(const std::filesystem::path&)>& body,
                 storage::SnapshotStore::Lifetime lifetime = storage::SnapshotStore::Lifetime::kKept) {
    auto mounts = snapshots_->mounts(id, lifetime);
    std::filesystem::path target = root_ / "mnt";
    std::filesystem::create_directory(target);
    std::string data;
    for (const std::string& option : mounts.at(0).options) {
      data += (data.empty() ? "" : ",") + option;
    }
    pid_t child = ::fork();
    if (child == 0) {
      bool good = ::unshare(CLONE_NEWNS) == 0 && ::mount("", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
                  ::mount(mounts[0].source.c_str(), target.c_str(), mounts[0].type.c_str(), 0, data.c_str()) == 0;
      ::_exit(!good ? 1 : body(target) ? 0 : 2);
    }
    int status = 0;
    ::waitpid(child, &status, 0);
    return WEXITSTATUS(status);
  }

  std::vector<storage::LayerPin> pins_;
};

TEST_F(StoreTest, RemovalByDockersRules) {
  image::Image image = import("a:1", "1");
  images_->tag("a:1", "a", "2");
  images_->tag(image.id, "b", "");
  std::string short_id = image.id.substr(7, 12);
  EXPECT_EQ(images_->find("a:1").tags, (std::vector<std::string>{"a:1", "a:2", "b:latest"}));
  EXPECT_EQ(
      error_of([&] { images_->remove(short_id, Force::kNo, {}); }).message(),
      fmt::format("conflict: unable to delete {} (must be forced) - image is referenced in multiple repositories", short_id));
  EXPECT_EQ(images_->remove("b", Force::kNo, {}).at(0).untagged, "b:latest");
  images_->remove("a:2", Force::kNo, {});
  std::string container(64, 'c');
  auto stopped = [&](const std::string&) { return User(container, false); };
  auto running = [&](const std::string&) { return User(container); };
  EXPECT_EQ(
      error_of([&] { images_->remove("a:1", Force::kNo, running); }).message(),
      fmt::format("conflict: unable to remove repository reference \"a:1\" (must force) - container cccccccccccc is using its "
                  "referenced image {}",
                  short_id));
  EXPECT_EQ(
      error_of([&] { images_->remove(short_id, Force::kYes, running); }).message(),
      fmt::format("conflict: unable to delete {} (cannot be forced) - image is being used by running container cccccccccccc",
                  short_id));
  EXPECT_EQ(
      error_of([&] { images_->remove(short_id, Force::kNo, stopped); }).message(),
      fmt::format("conflict: unable to delete {} (must be forced) - image is being used by stopped container cccccccccccc",
                  short_id));
  auto removed = images_->remove("a:1", Force::kYes, running);
  EXPECT_EQ(removed.size(), 1U);  // it stays without a name
  EXPECT_TRUE(images_->find(image.id).tags.empty());
  EXPECT_EQ(images_->remove(short_id, Force::kNo, {}).back().deleted, image.id);
  expect_nothing_left();
  EXPECT_EQ(error_of([&] { images_->remove("a:1", Force::kNo, {}); }).message(), "No such image: a:1");
  EXPECT_EQ(error_of([&] { images_->find("nothing"); }).message(), "No such image: nothing:latest");
}

TEST_F(StoreTest, AContainersReferenceKeepsTheLayer) {
  image::Image image = import("a", "1");
  layers_->reference(image.chain_ids[0]);
  images_->remove("a", Force::kNo, {});
  EXPECT_TRUE(layers_->find(image.chain_ids[0]));
  reopen();
  EXPECT_TRUE(layers_->find(image.chain_ids[0]));
  layers_->release(image.chain_ids[0]);
  layers_->collect();
  expect_nothing_left();
}

TEST_F(StoreTest, WhatACrashLeavesIsRemoved) {
  image::Image kept = import("kept", "1");
  image::Image lost = import("lost", "2");
  close();
  std::filesystem::create_directories(root_ / "layers" / ".new-1234" / "diff" / "x");
  std::filesystem::create_directories(root_ / "layers" / std::string(64, 'f') / "diff");
  replace_file(root_ / "content" / "sha256" / std::string(64, 'e'), "orphan", 0600, Durability::kUnsynced);
  // A power loss: one layer had not reached the disk.
  Database(root_ / "state.db")
      .run("UPDATE layers SET unsynced_boot = 'an earlier boot' WHERE chain_id = ?", {lost.chain_ids[0]});
  open();
  EXPECT_EQ(images_->list().size(), 1U);
  EXPECT_EQ(images_->find("kept").id, kept.id);
  EXPECT_EQ(count_entries(root_ / "layers"), 1U);
  EXPECT_EQ(count_entries(root_ / "content" / "sha256"), 1U);
  close();
  replace_file(root_ / "content" / "sha256" / kept.id.substr(7), "damaged", 0600, Durability::kUnsynced);
  open();
  expect_nothing_left();
}

TEST_F(StoreTest, FullDisk) {
  if (::geteuid() != 0) {
    GTEST_SKIP() << "needs root: mounts";
  }
  close();
  if (::mount("none", root_.c_str(), "tmpfs", 0, "size=2m") != 0) {
    FAIL() << "mount tmpfs";
  }
  open();
  std::string big = layer_of("big", std::string(4'000'000, 'x'));
  Error error = error_of([&] { import_layer("big", big); });
  EXPECT_EQ(error.code(), ErrorCode::kResourceExhausted) << error.message();
  EXPECT_NE(error.message().find("No space left on device"), std::string::npos) << error.message();
  for (int i = 0; i < 100 && std::filesystem::space(root_).available < 1'500'000; ++i) {
    ::usleep(20'000);  // the trash empties in the background
  }
  expect_nothing_left();
  import("small", "1");
  close();
  ::umount2(root_.c_str(), MNT_DETACH);
  open();
}

TEST_F(StoreTest, OverlayOf127Layers) {
  if (::geteuid() != 0) {
    GTEST_SKIP() << "needs root: mounts";
  }
  std::vector<std::string> chain;
  chain.reserve(127);
  for (int i = 0; i < 127; ++i) {
    chain.push_back(add_layer(chain.empty() ? "" : chain.back(), [&](const std::filesystem::path& folder) {
      replace_file(folder / std::to_string(i), "x", 0644, Durability::kUnsynced);
      replace_file(folder / "top", std::to_string(i), 0644, Durability::kUnsynced);
    }));
  }
  std::string id(64, 'd');
  snapshots_->create(id, chain);
  EXPECT_EQ(error_of([&] { snapshots_->create(id, chain); }).code(), ErrorCode::kConflict);
  EXPECT_EQ(with_mount(id,
                       [](const std::filesystem::path& path) {
                         replace_file(path / "written", "12345", 0644, Durability::kUnsynced);
                         return read_file(path / "top") == "126" && std::filesystem::exists(path / "0");
                       }),
            0);
  EXPECT_EQ(snapshots_->writable_size(id), 5);
  EXPECT_EQ(snapshots_->list(), std::vector<std::string>{id});
  EXPECT_TRUE(snapshots_->folders(id).lower.starts_with(layers_->folder(chain.back()).native()));
  snapshots_->remove(id);
  snapshots_->remove(id);
  EXPECT_TRUE(snapshots_->list().empty());
  EXPECT_EQ(error_of([&] { snapshots_->mounts(id); }).code(), ErrorCode::kNotFound);
  EXPECT_EQ(error_of([&] { snapshots_->create("../x", chain); }).code(), ErrorCode::kInvalidArgument);
  EXPECT_EQ(error_of([&] { snapshots_->create("x", {"sha256:" + std::string(64, '1')}); }).code(), ErrorCode::kNotFound);
}

TEST_F(StoreTest, WhiteoutsHideWhatIsBelow) {
  if (::geteuid() != 0) {
    GTEST_SKIP() << "needs root: mounts";
  }
  ArchiveBuilder lower;
  lower.file("gone", "1").folder("d/").file("d/old", "1").file("kept", "1").folder("tree/").file("tree/x", "1");
  ArchiveBuilder upper;
  upper.file(".wh.gone", "").folder("d/").file("d/.wh..wh..opq", "").file("d/new", "1").file(".wh.tree", "");
  std::vector<std::string> chain;
  for (const std::string& bytes : {lower.finish(), upper.finish()}) {
    image::LayerWriter writer(layers_->begin());
    writer.write(bytes);
    image::LayerWriter::Result result = writer.finish();
    EXPECT_EQ(result.diff_id, oci::Hasher::of(bytes));
    pins_.push_back(
        layers_->commit(std::move(result.layer), result.diff_id.text(), chain.empty() ? "" : chain.back(), result.size));
    chain.push_back(pins_.back().info().chain_id);
  }
  snapshots_->create("hidden", chain);
  EXPECT_EQ(with_mount("hidden",
                       [](const std::filesystem::path& path) {
                         auto there = [&](const char* name) { return std::filesystem::exists(path / name); };
                         return !there("gone") && !there("tree") && !there("d/old") && there("d/new") && there("kept");
                       }),
            0);
}

TEST_F(StoreTest, NoLayersAtAll) {
  if (::geteuid() != 0) {
    GTEST_SKIP() << "needs root: mounts";
  }
  snapshots_->create("empty", {});
  EXPECT_EQ(with_mount("empty", [](const std::filesystem::path& path) { return std::filesystem::is_empty(path); }), 0);
}

TEST_F(StoreTest, ThrowawayMountsAgain) {
  if (::geteuid() != 0) {
    GTEST_SKIP() << "needs root: mounts";
  }
  snapshots_->create("brief", {});
  auto write = [](const std::filesystem::path& path) {
    replace_file(path / "f", "x", 0644, Durability::kSynced);
    return true;
  };
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(with_mount("brief", write, storage::SnapshotStore::Lifetime::kThrowaway), 0);
  }
  EXPECT_EQ(with_mount(
                "brief", [](const std::filesystem::path& path) { return read_file(path / "f") == "x"; },
                storage::SnapshotStore::Lifetime::kThrowaway),
            0);
}

TEST_F(StoreTest, TreesThatAreHardToRemove) {
  snapshots_->create("deep", {});
  UniqueFd folder = open_file(root_ / "snapshots" / "deep" / "upper", O_RDONLY | O_DIRECTORY);
  for (int i = 0; i < 3000; ++i) {  // deeper than a path can say
    ASSERT_EQ(::mkdirat(folder.get(), "a_rather_long_name_for_a_folder", 0), 0);
    folder.reset(::openat(folder.get(), "a_rather_long_name_for_a_folder", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }
  EXPECT_GE(snapshots_->writable_size("deep"), 0);
  snapshots_->remove("deep");
  for (int i = 0; i < 250 && count_entries(root_ / "trash" / "snapshots") > 0; ++i) {
    ::usleep(20'000);
  }
  EXPECT_EQ(count_entries(root_ / "trash" / "snapshots"), 0U);
}

}  // namespace
}  // namespace bulkhead::test
