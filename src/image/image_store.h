// The images of one instance: pulled, loaded, imported, tagged, removed. Owns the content store under <root>/content and the
// image tables in the database; layers are unpacked into the `storage::LayerStore`.
//
// Thread-safe. Pulls of the same layer by several callers happen once. All functions block; `CancelToken` (checked at least
// every second while waiting on the network) ends a transfer whose client has gone.
#pragma once

#include <atomic>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "image/image.h"

namespace bulkhead {
class Database;
}
namespace bulkhead::storage {
class LayerStore;
}

namespace bulkhead::image {

using CancelToken = std::shared_ptr<std::atomic<bool>>;

/// One line of the progress that the docker client draws (Engine API: POST /images/create, "CreateImageInfo").
struct Progress {
  std::string id;  // short layer id (12 hex digits), the tag for "Pulling from", or ""
  std::string
      status;  // Docker's words: "Pulling fs layer", "Downloading", "Extracting", "Pull complete", "Already exists", ...
  int64_t current = 0, total = 0;  // bytes; total 0: no bar
};
/// Called from the pulling threads, one call at a time. Calls are rate limited by the caller of it (at most ~10 a second a
/// layer).
using ProgressSink = std::function<void(const Progress&)>;

struct Credentials {
  std::string username, password;
  std::string identity_token, registry_token;
};

struct PullRequest {
  std::string reference;  // as the user wrote it: "debian", "host:5000/a/b:tag", "a@sha256:..."
  std::string platform;   // "", "linux/amd64", "linux/arm64/v8": empty means the host's
  std::optional<Credentials> credentials;
};

struct ImageStoreOptions {
  std::filesystem::path root;                    // "<instance root>/content"
  std::vector<std::string> insecure_registries;  // plain HTTP allowed: "host:port" or CIDR; loopback always is
  int parallel_downloads = 3;
};

struct Removal {
  std::string untagged;  // "debian:12" or empty
  std::string deleted;   // "sha256:..." or empty
};

class ImageStore {
 public:
  ImageStore(ImageStoreOptions options, Database& database, storage::LayerStore& layers);
  ~ImageStore();

  /// Every image, newest first.
  std::vector<Image> list();
  /// By tag, digest reference, full id, or unique id prefix. Throws kNotFound "No such image: <reference>" (Docker's words).
  Image find(const std::string& reference);

  /// Returns the image. Progress ends with "Digest: ..." and "Status: Downloaded newer image for ..." / "Image is up to date".
  Image pull(const PullRequest& request, const ProgressSink& progress, const CancelToken& cancel);
  /// docker-archive or OCI layout, tar or compressed tar, read from `read` (returns 0 at the end, throws on a broken client).
  /// Returns the lines that docker prints ("Loaded image: a:b").
  using ByteSource = std::function<size_t(char* buffer, size_t size)>;
  std::vector<std::string> load(const ByteSource& read, const ProgressSink& progress);
  struct ImportRequest {
    std::string reference;  // "repo:tag", or ""
    std::string message;
    std::vector<std::string>
        changes;  // Dockerfile instructions: CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, USER, VOLUME, WORKDIR, ...
    std::string platform;
  };
  Image import(const ImportRequest& request, const ByteSource& read);

  void tag(const std::string& source, const std::string& repository, const std::string& tag);
  /// Docker's rules: a name untags; the last name, or an id with `force`, deletes. `in_use(image id)` names a container that
  /// uses the image, or "". Throws kConflict in Docker's words.
  enum class Force { kNo, kYes };
  std::vector<Removal> remove(const std::string& reference, Force force,
                              const std::function<std::string(const std::string& image_id)>& in_use);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace bulkhead::image
