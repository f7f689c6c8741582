// The images of one instance: pulled, loaded, imported, tagged, removed. Owns the content store under <root>/content and the
// image tables in the database; layers are unpacked into the `storage::LayerStore`.
//
// Thread-safe. Pulls of the same layer by several callers happen once. All functions block; `CancelToken` (checked at least
// every second while waiting on the network) ends a transfer whose client has gone.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "image/cancel.h"
#include "image/image.h"

namespace bulkhead {
class Database;
}
namespace bulkhead::storage {
class LayerStore;
}

namespace bulkhead::image {

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
  std::filesystem::path root;                                  // "<instance root>/content"
  std::vector<std::string> insecure_registries;                // plain HTTP allowed: "host:port" or CIDR; loopback always is
  int parallel_downloads = 3;                                  // layers at once, over all pulls
  std::filesystem::path certificates = "/etc/docker/certs.d";  // per registry, as Docker has them
  std::chrono::milliseconds connect_timeout{10'000}, stall_timeout{30'000};
  std::chrono::milliseconds retry_delay{250};  // before the first retry; doubles
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
  /// `docker login`: throws kUnauthenticated where the registry ("host:port", "" is Docker Hub) refuses the credentials.
  void check_credentials(const std::string& registry, const Credentials& credentials);
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
  /// A container that uses an image; made of an id (a running one's), or "" for none.
  struct User {
    User() = default;
    User(std::string id) : container_id(std::move(id)) {}  // NOLINT(google-explicit-constructor)
    User(std::string id, bool is_running) : container_id(std::move(id)), running(is_running) {}
    std::string container_id;
    bool running = true;
  };
  /// Docker's rules: a name untags; the last name, or an id, deletes; `force` passes what only a running container forbids.
  /// `in_use(image id)` names a container that uses the image, running ones first. Throws kConflict in Docker's words.
  enum class Force { kNo, kYes };
  std::vector<Removal> remove(const std::string& reference, Force force,
                              const std::function<User(const std::string& image_id)>& in_use);

  struct State;  // image_store_state.h, for the files that implement this

 private:
  std::unique_ptr<State> state_;
};

}  // namespace bulkhead::image
