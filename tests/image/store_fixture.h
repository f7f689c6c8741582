// A whole image store in a temporary folder, and what must be left in it: nothing, where something failed.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "archive/archive_builder.h"
#include "database/database.h"
#include "image/image_store.h"
#include "storage/layer_store.h"
#include "storage/snapshot_store.h"
#include "support/error.h"

namespace bulkhead::test {

class StoreFixture : public ::testing::Test {
 protected:
  StoreFixture() {
    std::string name = "/tmp/bhimgXXXXXX";
    root_ = ::mkdtemp(name.data());
    options_.connect_timeout = std::chrono::seconds(2);
    options_.stall_timeout = std::chrono::seconds(1);
    options_.retry_delay = std::chrono::milliseconds(5);
    open();
  }
  ~StoreFixture() override {
    close();
    std::filesystem::remove_all(root_);
  }

  void open() {
    options_.root = root_ / "content";
    database_ = std::make_unique<Database>(root_ / "state.db");
    layers_ = std::make_unique<storage::LayerStore>(root_, *database_);
    snapshots_ = std::make_unique<storage::SnapshotStore>(root_, *layers_);
    images_ = std::make_unique<image::ImageStore>(options_, *database_, *layers_);
  }
  void close() {
    images_.reset();
    snapshots_.reset();
    layers_.reset();
    database_.reset();
  }
  void reopen() {
    close();
    open();
  }

  image::Image pull(const std::string& reference, const image::CancelToken& cancel = nullptr) {
    return images_->pull(
        {.reference = reference, .platform = "", .credentials = credentials_},
        [&](const image::Progress& line) { progress_.push_back(line.id + "|" + line.status); }, cancel);
  }
  /// The error of a pull that must fail.
  Error pull_error(const std::string& reference, const image::CancelToken& cancel = nullptr) {
    return error_of([&] { pull(reference, cancel); });
  }
  static Error error_of(const std::function<void()>& body) {
    try {
      body();
    } catch (const Error& error) {
      return error;
    }
    return {ErrorCode::kAlreadyDone, "nothing was thrown"};
  }
  bool reported(const std::string& line) const {
    return std::find(progress_.begin(), progress_.end(), line) != progress_.end();
  }

  static size_t count_entries(const std::filesystem::path& folder) {
    auto size = std::distance(std::filesystem::directory_iterator(folder), std::filesystem::directory_iterator());
    return static_cast<size_t>(size);
  }
  /// No image, no layer, no blob, no link.
  void expect_nothing_left() {
    EXPECT_TRUE(images_->list().empty());
    EXPECT_EQ(count_entries(root_ / "layers"), 0U);
    EXPECT_EQ(count_entries(root_ / "content" / "sha256"), 0U);
    EXPECT_EQ(count_entries(root_ / "l"), 1U);  // the empty layer
  }

  std::filesystem::path root_;
  image::ImageStoreOptions options_;
  std::optional<image::Credentials> credentials_;
  std::vector<std::string> progress_;
  std::unique_ptr<Database> database_;
  std::unique_ptr<storage::LayerStore> layers_;
  std::unique_ptr<storage::SnapshotStore> snapshots_;
  std::unique_ptr<image::ImageStore> images_;
};

/// A layer of one file.
inline std::string layer_of(const std::string& name, const std::string& content) {
  return archive::ArchiveBuilder().file(name, content).finish();
}

}  // namespace bulkhead::test
