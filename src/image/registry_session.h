// One repository of one registry during one pull: its address, the way in (scheme, credentials, token), manifests and blobs.
// Thread-safe: the pull's threads share it, each with an HttpClient of its own.
#pragma once

#include <cstdint>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "image/http_client.h"
#include "image/image_store.h"
#include "oci/manifest.h"
#include "oci/reference.h"

namespace bulkhead::image {

class RegistrySession {
 public:
  RegistrySession(const RegistryPolicy& policy, oci::Reference reference, std::optional<Credentials> credentials,
                  CancelToken cancel, std::chrono::milliseconds retry_delay);

  /// Finds the scheme, and what the registry wants for authentication. Call first. Throws `Get "https://host/v2/": ...`.
  void connect(HttpClient& http);
  /// After `connect`: asks the registry's base for an answer with the credentials; throws kUnauthenticated where they are
  /// refused.
  void verify_credentials(HttpClient& http);

  struct RawManifest {
    std::string bytes, media_type;
    oci::Digest digest;  // computed
  };
  /// `tag_or_digest`: where it is a digest, the bytes have it. `familiar` names it in errors. Throws Docker's words.
  RawManifest manifest(HttpClient& http, const std::string& tag_or_digest);

  /// The blob's bytes to `sink` as they arrive, resumed after broken connections. Returns when size and digest were right,
  /// throws otherwise (the sink has then seen bytes that must not be used). `retrying(seconds)` before each new attempt.
  void blob(HttpClient& http, const oci::Descriptor& descriptor, const std::function<void(std::string_view)>& sink,
            const std::function<void(int)>& retrying = {});
  /// A small blob as a whole: at most `limit` bytes.
  std::string small_blob(HttpClient& http, const oci::Descriptor& descriptor, size_t limit);

 private:
  struct BlobTransfer;
  std::string authorization();
  void authenticate(HttpClient& http, const HttpHead& refused, const std::string& used);
  /// With authorization, and once more where the registry wants (other) authorization.
  HttpOutcome get(HttpClient& http, HttpRequest request);
  HttpOutcome ping(HttpClient& http, const std::string& scheme);

  const RegistryPolicy& policy_;
  const oci::Reference reference_;
  const std::optional<Credentials> credentials_;
  const CancelToken cancel_;
  const std::chrono::milliseconds retry_delay_;
  std::string host_;  // "registry-1.docker.io"
  std::string base_;  // "https://host/v2/"
  std::mutex mutex_;
  std::string authorization_;  // guarded by mutex_
};

}  // namespace bulkhead::image
