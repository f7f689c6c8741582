#include "oci/manifest.h"

#include <fmt/format.h>

#include <array>

#include "oci/bounded_json.h"
#include "support/error.h"

namespace bulkhead::oci {
namespace {

using nlohmann::json;

constexpr std::string_view kOciIndex = "application/vnd.oci.image.index.v1+json";
constexpr std::string_view kOciManifest = "application/vnd.oci.image.manifest.v1+json";
constexpr std::string_view kDockerList = "application/vnd.docker.distribution.manifest.list.v2+json";
constexpr std::string_view kDockerManifest = "application/vnd.docker.distribution.manifest.v2+json";
constexpr std::string_view kDockerSchema1 = "application/vnd.docker.distribution.manifest.v1+";
constexpr size_t kMaxIndexEntries = 4096;

[[noreturn]] void malformed(std::string_view reason) {
  throw Error(ErrorCode::kDataLoss, fmt::format("image manifest is malformed: {}", reason));
}

std::string text_of(const json& object, const char* key) {
  auto found = object.find(key);
  if (found == object.end() || found->is_null()) {
    return "";
  }
  if (!found->is_string()) {
    malformed(fmt::format("'{}' is not a string", key));
  }
  return found->get<std::string>();
}

Platform read_platform(const json& object) {
  if (!object.is_object()) {
    malformed("'platform' is not an object");
  }
  Platform platform{.os = text_of(object, "os"),
                    .architecture = text_of(object, "architecture"),
                    .variant = text_of(object, "variant"),
                    .os_version = text_of(object, "os.version"),
                    .os_features = {}};
  if (auto features = object.find("os.features"); features != object.end() && features->is_array()) {
    for (const json& feature : *features) {
      if (feature.is_string()) {
        platform.os_features.push_back(feature.get<std::string>());
      }
    }
  }
  return platform;
}

Descriptor read_descriptor(const json& object) {
  if (!object.is_object()) {
    malformed("a descriptor is not an object");
  }
  std::optional<Digest> digest = Digest::try_parse(text_of(object, "digest"));
  if (!digest) {
    malformed(fmt::format("digest '{}' of a descriptor is not valid", text_of(object, "digest").substr(0, 160)));
  }
  auto size = object.find("size");
  if (size == object.end() || !size->is_number_integer() || (size->is_number_unsigned() && size->get<uint64_t>() > INT64_MAX) ||
      size->get<int64_t>() < 0) {
    malformed(fmt::format("size of {} is not a number of bytes", digest->text()));
  }
  Descriptor descriptor{
      .media_type = text_of(object, "mediaType"), .digest = *digest, .size = size->get<int64_t>(), .platform = {}};
  if (auto platform = object.find("platform"); platform != object.end() && !platform->is_null()) {
    descriptor.platform = read_platform(*platform);
  }
  return descriptor;
}

Index read_index(const json& document) {
  const json& entries = document.at("manifests");
  if (!entries.is_array() || entries.size() > kMaxIndexEntries) {
    malformed("'manifests' is not an array of a sensible size");
  }
  Index index;
  for (const json& entry : entries) {
    index.manifests.push_back(read_descriptor(entry));
    std::string name;
    if (auto notes = entry.find("annotations"); notes != entry.end() && notes->is_object()) {
      // containerd writes the whole name; the standard annotation holds often the tag alone.
      name = text_of(*notes, "io.containerd.image.name");
      if (name.empty()) {
        name = text_of(*notes, "org.opencontainers.image.ref.name");
      }
    }
    index.reference_names.push_back(std::move(name));
  }
  return index;
}

/// Layers are what this project unpacks: a tar, plain or compressed. Others (in-toto statements, charts) are no image.
void check_layer_type(const json& entry, const Descriptor& layer) {
  bool foreign = layer.media_type.find(".foreign.") != std::string::npos ||
                 layer.media_type.find(".nondistributable.") != std::string::npos;
  auto urls = entry.find("urls");
  // SECURITY: urls would let the manifest's author make this host fetch from anywhere.
  if (foreign || (urls != entry.end() && urls->is_array() && !urls->empty())) {
    throw Error(ErrorCode::kNotSupported,
                fmt::format("layer {} is foreign (kept outside of the registry): not supported", layer.digest.short_id()));
  }
  bool known = layer.media_type.starts_with("application/vnd.oci.image.layer.v1.tar") ||
               layer.media_type.starts_with("application/vnd.docker.image.rootfs.diff.tar");
  if (!known) {
    throw Error(ErrorCode::kNotSupported, fmt::format("layer {} has media type '{}', which is no file system layer",
                                                      layer.digest.short_id(), layer.media_type.substr(0, 200)));
  }
  if (layer.media_type.ends_with("+encrypted")) {
    throw Error(ErrorCode::kNotSupported, fmt::format("layer {} is encrypted: not supported", layer.digest.short_id()));
  }
}

Manifest read_manifest(const json& document, LayerUse use) {
  auto config = document.find("config");
  if (config == document.end()) {
    malformed("'config' is missing");
  }
  Manifest manifest{.config = read_descriptor(*config), .layers = {}};
  if (manifest.config.size > static_cast<int64_t>(kMaxConfigSize)) {
    throw Error(ErrorCode::kDataLoss, fmt::format("image configuration of {} bytes is larger than the limit of {}",
                                                  manifest.config.size, kMaxConfigSize));
  }
  const json& layers = document.at("layers");
  if (!layers.is_array()) {
    malformed("'layers' is not an array");
  }
  if (layers.size() > kMaxLayers) {
    throw Error(ErrorCode::kNotSupported,
                fmt::format("max depth exceeded: the image has {} layers, the limit is {}", layers.size(), kMaxLayers));
  }
  for (const json& entry : layers) {
    manifest.layers.push_back(read_descriptor(entry));
    if (use == LayerUse::kUnpack) {
      check_layer_type(entry, manifest.layers.back());
    }
  }
  return manifest;
}

}  // namespace

std::string_view accepted_manifest_types() {
  static const std::string types = fmt::format("{}, {}, {}, {}", kOciIndex, kDockerList, kOciManifest, kDockerManifest);
  return types;
}

std::variant<Index, Manifest> parse_manifest(std::string_view bytes, std::string_view media_type, LayerUse use) {
  if (bytes.size() > kMaxManifestSize) {
    throw Error(ErrorCode::kDataLoss,
                fmt::format("image manifest of {} bytes is larger than the limit of {}", bytes.size(), kMaxManifestSize));
  }
  json document = parse_bounded_json(bytes, "image manifest");
  if (!document.is_object()) {
    malformed("not an object");
  }
  std::string inner_type = text_of(document, "mediaType");
  auto version = document.find("schemaVersion");
  if (media_type.starts_with(kDockerSchema1) || inner_type.starts_with(kDockerSchema1) ||
      (version != document.end() && *version == 1)) {
    throw Error(ErrorCode::kNotSupported,
                "the image has a Docker Image Manifest Version 2, Schema 1, which is not supported: push it again with a newer "
                "client");
  }
  bool is_index = document.contains("manifests");
  bool is_manifest = document.contains("layers") || document.contains("config");
  // SECURITY: one digest must not mean two images (CVE-2021-41190): the document's fields and its declared types must agree.
  std::string_view declared = inner_type.empty() ? media_type : std::string_view(inner_type);
  bool declared_index = declared == kOciIndex || declared == kDockerList;
  bool declared_manifest = declared == kOciManifest || declared == kDockerManifest;
  if ((is_index && is_manifest) || (declared_index && !is_index) || (declared_manifest && !is_manifest)) {
    malformed("it can be read both as an index and as a manifest, or is not what its media type says");
  }
  if (is_index) {
    return read_index(document);
  }
  if (!document.contains("layers")) {
    malformed("neither 'manifests' nor 'layers' is there");
  }
  return read_manifest(document, use);
}

}  // namespace bulkhead::oci
