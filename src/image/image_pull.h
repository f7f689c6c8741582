// One pull: from a reference to an image in the tables, or to an error and nothing left behind.
#pragma once

#include <condition_variable>
#include <exception>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "image/image_store_state.h"
#include "image/layer_writer.h"
#include "image/progress_reporter.h"
#include "image/registry_session.h"

namespace bulkhead::image {

class ImagePull {
 public:
  ImagePull(ImageStore::State& store, const PullRequest& request, const ProgressSink& progress, const CancelToken& cancel);

  Image run();

 private:
  /// A layer on its way: workers fetch, the pulling thread commits in order.
  struct Layer {
    oci::Descriptor blob;
    std::string diff_id, chain_id, parent_chain_id;
    std::string label;  // for progress
    ExclusiveKeys::Hold hold;
    std::optional<LayerWriter::Result> fetched;
    std::optional<storage::LayerPin> existing;
    bool waited = false, done = false;
  };

  RegistrySession::RawManifest choose_manifest(const RegistrySession::RawManifest& first, oci::Manifest& manifest);
  std::string fetch_config(const oci::Manifest& manifest);
  void check_platform(const Image& config);
  void plan_layers(const oci::Manifest& manifest, const Image& config);
  std::vector<storage::LayerPin> fetch_layers();
  void work();
  void fetch(HttpClient& http, Layer& layer);
  void download(HttpClient& http, Layer& layer);
  storage::LayerPin commit(Layer& layer);
  void fail(std::exception_ptr error);
  bool failed();
  Image finish(const std::string& id, const std::vector<std::string>& manifests, const std::string& top_digest, bool is_new);

  ImageStore::State& store_;
  const PullRequest& request_;
  ProgressReporter progress_;
  CancelToken cancel_;      // the caller's
  CancelToken own_cancel_;  // the caller's or a failure's: ends the workers
  oci::Reference reference_;
  oci::Platform platform_;
  RegistrySession session_;
  HttpClient http_;

  std::vector<Layer> layers_;
  std::mutex mutex_;
  std::condition_variable changed_;
  size_t next_ = 0;  // guarded by mutex_, as is `done` of each layer
  std::exception_ptr error_;
};

}  // namespace bulkhead::image
