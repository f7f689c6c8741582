#include "image/image_pull.h"

#include <fmt/format.h>

#include <algorithm>

#include "compat/windows_text.h"
#include "database/database.h"
#include "image/image_config.h"
#include "support/error.h"

namespace bulkhead::image {
namespace {

constexpr std::chrono::milliseconds kCancelCheck(200);
constexpr int kMaxIndexDepth = 3;

HttpTimeouts timeouts_of(const ImageStoreOptions& options) {
  return {.connect = options.connect_timeout, .stall = options.stall_timeout};
}

/// An image for Windows, wanted with no platform named: to be run, most likely. Said where it would be, before it is brought.
[[noreturn]] void refuse_windows(const std::string& name, const std::string& os_version) {
  throw Error(ErrorCode::kNotSupported, compat::refuse_windows_image(name, os_version) +
                                            "; 'docker pull --platform windows' brings what that reads, the configuration");
}

/// Throws: an index has nothing for the platform.
[[noreturn]] void refuse_index(const oci::Index& index, const oci::Platform& wanted, const std::string& name) {
  const oci::Descriptor* windows = wanted.os == "linux" ? oci::select_platform(index, oci::parse_platform("windows")) : nullptr;
  if (windows != nullptr && windows->platform) {
    refuse_windows(name, windows->platform->os_version);
  }
  throw Error(ErrorCode::kNotFound,
              fmt::format("no matching manifest for {} in the manifest list entries", oci::to_string(wanted)));
}

oci::Platform platform_of(const Image& image) {
  return {.os = image.os, .architecture = image.architecture, .variant = image.variant, .os_version = {}, .os_features = {}};
}

}  // namespace

ImagePull::ImagePull(ImageStore::State& store, const PullRequest& request, const ProgressSink& progress,
                     const CancelToken& cancel)
    : store_(store),
      request_(request),
      progress_(progress),
      cancel_(cancel),
      own_cancel_(std::make_shared<std::atomic<bool>>(false)),
      reference_(oci::parse_reference(request.reference).with_default_tag()),
      platform_(oci::parse_platform(request.platform)),
      session_(store.policy, reference_, request.credentials, own_cancel_, store.options.retry_delay),
      http_(store.policy, timeouts_of(store.options), cancel) {}

Image ImagePull::run() {
  const std::string wanted = reference_.digest.empty() ? reference_.tag : reference_.digest;
  session_.connect(http_);
  RegistrySession::RawManifest first = session_.manifest(http_, wanted);
  progress_.status(wanted, "Pulling from " + reference_.path);
  oci::Manifest manifest{.config = {.media_type = {}, .digest = first.digest, .size = 0, .platform = {}}, .layers = {}};
  RegistrySession::RawManifest raw = choose_manifest(first, manifest);
  const std::string id = manifest.config.digest.text();
  const std::vector<std::string> manifests{raw.digest.text()};
  if (std::optional<Image> existing = store_.tables.find_id(id)) {
    store_.content.put(raw.digest, raw.bytes);
    return finish(id, manifests, first.digest.text(), false);
  }
  std::string config_bytes = fetch_config(manifest);
  Image config = parse_image_config(config_bytes);
  check_platform(config);
  if (has_layers_here(config)) {
    plan_layers(manifest, config);
  } else {
    progress_.status("", "The image is for Windows: its configuration is kept, its layers are left where they are");
  }
  try {
    std::vector<storage::LayerPin> pins = fetch_layers();
    Image image;
    // One transaction, so that a removal of the same image at the same time comes before or after it, never between.
    store_.tables.database().transaction([&] {
      store_.content.put(manifest.config.digest, config_bytes);
      store_.content.put(raw.digest, raw.bytes);
      image = finish(id, manifests, first.digest.text(), true);
    });
    return image;
  } catch (...) {
    layers_.clear();
    store_.layers.collect();
    throw;
  }
}

RegistrySession::RawManifest ImagePull::choose_manifest(const RegistrySession::RawManifest& first, oci::Manifest& manifest) {
  RegistrySession::RawManifest raw = first;
  for (int depth = 0; depth < kMaxIndexDepth; ++depth) {
    auto use = platform_.os == "linux" ? oci::LayerUse::kUnpack : oci::LayerUse::kNone;
    auto document = oci::parse_manifest(raw.bytes, raw.media_type, use);
    if (auto* found = std::get_if<oci::Manifest>(&document)) {
      manifest = std::move(*found);
      if (manifest.config.digest.algorithm() != oci::DigestAlgorithm::kSha256) {
        throw Error(ErrorCode::kNotSupported, "image configuration with a digest other than sha256 is not supported");
      }
      return raw;
    }
    const auto& index = std::get<oci::Index>(document);
    const oci::Descriptor* chosen = oci::select_platform(index, platform_);
    if (chosen == nullptr) {
      refuse_index(index, platform_, reference_.familiar());
    }
    raw = session_.manifest(http_, chosen->digest.text());
    if (static_cast<int64_t>(raw.bytes.size()) != chosen->size) {
      throw Error(ErrorCode::kDataLoss, fmt::format("manifest {} has {} bytes, where the index says {}", chosen->digest.text(),
                                                    raw.bytes.size(), chosen->size));
    }
    if (raw.media_type.empty() || raw.media_type == "application/octet-stream") {
      raw.media_type = chosen->media_type;
    }
  }
  throw Error(ErrorCode::kNotSupported, "image indexes within indexes are not supported");
}

std::string ImagePull::fetch_config(const oci::Manifest& manifest) {
  return session_.small_blob(http_, manifest.config, oci::kMaxConfigSize);
}

void ImagePull::check_platform(const Image& config) {
  if (request_.platform.empty() && config.os == "windows") {
    refuse_windows(reference_.familiar(), config.os_version);
  }
  // SECURITY: layers that were not looked at (LayerUse::kNone) end here where the image turns out to be one to unpack.
  if (!request_.platform.empty() && !oci::platform_distance(platform_, platform_of(config))) {
    throw Error(
        ErrorCode::kNotFound,
        fmt::format("image with reference {} was found but does not match the specified platform: wanted {}, actual: {}",
                    reference_.familiar(), oci::to_string(platform_), oci::to_string(platform_of(config))));
  }
}

void ImagePull::plan_layers(const oci::Manifest& manifest, const Image& config) {
  if (manifest.layers.size() != config.diff_ids.size()) {
    throw Error(ErrorCode::kDataLoss, fmt::format("image manifest has {} layers, but its configuration {}",
                                                  manifest.layers.size(), config.diff_ids.size()));
  }
  for (size_t i = 0; i < manifest.layers.size(); ++i) {
    layers_.push_back({.blob = manifest.layers[i],
                       .diff_id = config.diff_ids[i],
                       .chain_id = config.chain_ids[i],
                       .parent_chain_id = i == 0 ? "" : config.chain_ids[i - 1],
                       .label = manifest.layers[i].digest.short_id()});
  }
  for (Layer& layer : layers_) {
    layer.existing = store_.layers.pin(layer.chain_id);
    layer.done = layer.existing.has_value();
    progress_.status(layer.label, layer.done ? "Already exists" : "Pulling fs layer");
  }
}

std::vector<storage::LayerPin> ImagePull::fetch_layers() {
  auto missing =
      static_cast<size_t>(std::count_if(layers_.begin(), layers_.end(), [](const Layer& layer) { return !layer.done; }));
  size_t workers = std::min(missing, static_cast<size_t>(std::max(1, store_.options.parallel_downloads)));
  std::vector<std::thread> threads;
  std::vector<storage::LayerPin> pins;
  try {
    for (size_t i = 0; i < workers; ++i) {
      threads.emplace_back([this] { work(); });
    }
    for (Layer& layer : layers_) {
      std::unique_lock lock(mutex_);
      while (!layer.done && !error_) {
        throw_if_cancelled(cancel_);
        changed_.wait_for(lock, kCancelCheck);
      }
      if (error_) {
        break;
      }
      lock.unlock();
      pins.push_back(commit(layer));
    }
  } catch (...) {
    fail(std::current_exception());
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
  if (error_) {
    std::rethrow_exception(error_);
  }
  return pins;
}

void ImagePull::fail(std::exception_ptr error) {
  {
    std::lock_guard lock(mutex_);
    if (!error_) {
      error_ = std::move(error);
    }
  }
  own_cancel_->store(true);
  changed_.notify_all();
}

bool ImagePull::failed() {
  std::lock_guard lock(mutex_);
  return error_ != nullptr;
}

void ImagePull::work() {
  try {
    HttpClient http(store_.policy, timeouts_of(store_.options), own_cancel_);
    for (;;) {
      Layer* layer = nullptr;
      {
        std::lock_guard lock(mutex_);
        while (next_ < layers_.size() && layers_[next_].done) {
          ++next_;
        }
        if (error_ || next_ == layers_.size()) {
          return;
        }
        layer = &layers_[next_++];
      }
      fetch(http, *layer);
      {
        std::lock_guard lock(mutex_);
        layer->done = true;
      }
      changed_.notify_all();
    }
  } catch (...) {
    fail(std::current_exception());
  }
}

/// Waiting goes from a layer to the ones below it only, here and in every other pull: no circle can arise.
void ImagePull::fetch(HttpClient& http, Layer& layer) {
  progress_.status(layer.label, "Waiting");
  layer.hold = store_.fetching.acquire(layer.chain_id, own_cancel_);
  layer.existing = store_.layers.pin(layer.chain_id);
  if (layer.existing) {
    layer.hold.release();
    return;
  }
  auto slot = store_.downloads.acquire(own_cancel_);
  download(http, layer);
}

void ImagePull::download(HttpClient& http, Layer& layer) {
  LayerWriter writer(store_.layers.begin());
  const int64_t total = layer.blob.size;
  int64_t received = 0;
  progress_.bar(layer.label, "Downloading", 0, total);
  session_.blob(
      http, layer.blob,
      [&](std::string_view bytes) {
        writer.write(bytes);
        received += static_cast<int64_t>(bytes.size());
        progress_.bar(layer.label, "Downloading", received, total);
      },
      [&](int seconds) {
        progress_.status(layer.label, fmt::format("Retrying in {} second{}", seconds, seconds == 1 ? "" : "s"));
      });
  progress_.status(layer.label, "Verifying Checksum");
  progress_.status(layer.label, "Download complete");
  progress_.bar(layer.label, "Extracting", writer.consumed(), total);
  LayerWriter::Result result = writer.finish();
  // SECURITY: the image's id covers the diff ids, not the blobs: what was unpacked must be what the configuration names.
  if (result.diff_id.text() != layer.diff_id) {
    throw Error(ErrorCode::kDataLoss,
                fmt::format("layer {} does not match the image's configuration: its content is {}, not {}", layer.label,
                            result.diff_id.text(), layer.diff_id));
  }
  layer.fetched.emplace(std::move(result));
}

storage::LayerPin ImagePull::commit(Layer& layer) {
  if (layer.existing) {
    return std::move(*layer.existing);
  }
  storage::LayerPin pin =
      store_.layers.commit(std::move(layer.fetched->layer), layer.diff_id, layer.parent_chain_id, layer.fetched->size);
  layer.fetched.reset();
  layer.hold.release();
  progress_.status(layer.label, "Pull complete");
  return pin;
}

Image ImagePull::finish(const std::string& id, const std::vector<std::string>& manifests, const std::string& top_digest,
                        bool is_new) {
  bool up_to_date = !is_new && store_.tables.id_of(reference_) == id;
  store_.tables.database().transaction([&] {
    store_.tables.add(id, manifests);
    oci::Reference by_digest = reference_;
    by_digest.tag.clear();
    by_digest.digest = top_digest;
    store_.tables.name(by_digest, id);
    if (reference_.digest.empty()) {
      store_.tables.name(reference_, id);
    }
  });
  progress_.status("", "Digest: " + top_digest);
  progress_.status("", fmt::format("Status: {} for {}", up_to_date ? "Image is up to date" : "Downloaded newer image",
                                   reference_.familiar()));
  std::optional<Image> image = store_.tables.find_id(id);
  if (!image) {
    throw_no_such_image(id);
  }
  return std::move(*image);
}

}  // namespace bulkhead::image
