// `docker load`: the images of an archive, as `docker save` (manifest.json) or an OCI image layout (index.json) has them.
#include <fcntl.h>
#include <fmt/format.h>

#include "archive/archive_path.h"
#include "database/database.h"
#include "image/archive_content.h"
#include "image/image_config.h"
#include "image/image_store_state.h"
#include "image/layer_clone.h"
#include "oci/bounded_json.h"
#include "oci/manifest.h"
#include "support/error.h"
#include "support/files.h"

namespace bulkhead::image {
namespace {

using nlohmann::json;

/// One image of an archive, its parts found and verified.
struct ArchivedImage {
  std::string config;
  std::vector<ArchiveLayer*> layers;
  std::vector<oci::Reference> names;
  std::optional<std::pair<oci::Digest, std::string>> manifest;
};

[[noreturn]] void malformed(std::string_view reason) {
  throw Error(ErrorCode::kDataLoss, fmt::format("image archive is malformed: {}", reason));
}

const json& member(const json& object, const char* key) {
  auto found = object.find(key);
  if (found == object.end()) {
    malformed(fmt::format("manifest.json: '{}' is missing", key));
  }
  return *found;
}

std::string text_of(const json& value) {
  if (!value.is_string()) {
    malformed("manifest.json: a value is not a string");
  }
  return value.get<std::string>();
}

void check_layers(const ArchivedImage& archived, const Image& image) {
  if (archived.layers.size() != image.diff_ids.size()) {
    throw Error(ErrorCode::kDataLoss, fmt::format("invalid manifest, layers length mismatch: expected {}, got {}",
                                                  image.diff_ids.size(), archived.layers.size()));
  }
  for (size_t i = 0; i < archived.layers.size(); ++i) {
    if (archived.layers[i]->diff_id.text() != image.diff_ids[i]) {
      throw Error(ErrorCode::kDataLoss, fmt::format("invalid diffID for layer {}: expected \"{}\", got \"{}\"", i,
                                                    image.diff_ids[i], archived.layers[i]->diff_id.text()));
    }
  }
}

std::vector<ArchivedImage> read_docker_archive(ArchiveContent& content) {
  json list = oci::parse_bounded_json(content.text("manifest.json"), "manifest.json");
  if (!list.is_array()) {
    malformed("manifest.json is not a list");
  }
  std::vector<ArchivedImage> images;
  for (const json& item : list) {
    if (!item.is_object()) {
      malformed("manifest.json is not a list of objects");
    }
    ArchivedImage image;
    std::string path = archive::clean_archive_path(text_of(member(item, "Config")));
    image.config = content.text(path);
    const json& layers = member(item, "Layers");
    const json none = json::array();
    for (const json& layer : has_layers_here(parse_image_config(image.config)) ? layers : none) {
      std::string layer_path = archive::clean_archive_path(text_of(layer));
      ArchiveFile* file = content.find(layer_path);
      if (file == nullptr) {
        malformed(fmt::format("layer '{}' is missing", archive::printable(layer_path)));
      }
      image.layers.push_back(&content.layer(*file, layer_path));
    }
    if (auto tags = item.find("RepoTags"); tags != item.end() && tags->is_array()) {
      for (const json& tag : *tags) {
        image.names.push_back(oci::parse_reference(text_of(tag)).with_default_tag());
        if (!image.names.back().digest.empty()) {
          malformed("manifest.json: a tag has a digest");
        }
      }
    }
    images.push_back(std::move(image));
  }
  return images;
}

/// The manifest that a descriptor of an index means on this machine; an index below an index is followed.
std::optional<std::pair<oci::Digest, oci::Manifest>> find_manifest(ArchiveContent& content, const oci::Descriptor& descriptor,
                                                                   int depth) {
  const oci::Digest& digest = descriptor.digest;
  constexpr int kMaxDepth = 3;
  if (depth > kMaxDepth) {
    malformed("indexes are nested too deep");
  }
  ArchiveFile& file = content.blob(digest);
  if (!file.text) {
    malformed(fmt::format("manifest {} is no JSON", digest.text()));
  }
  auto document = oci::parse_manifest(*file.text, descriptor.media_type);
  if (auto* manifest = std::get_if<oci::Manifest>(&document)) {
    return std::pair{digest, std::move(*manifest)};
  }
  const auto& index = std::get<oci::Index>(document);
  const oci::Descriptor* chosen = oci::select_platform(index, oci::host_platform());
  if (chosen == nullptr) {
    chosen = oci::select_platform(index, oci::parse_platform("windows"));  // to be inspected, at least
  }
  if (chosen == nullptr) {
    return std::nullopt;
  }
  return find_manifest(content, *chosen, depth + 1);
}

/// Annotations name an image as a whole ("docker.io/library/debian:12"), or only by tag ("12"): the latter is no name here.
std::vector<oci::Reference> names_of(const std::string& annotation) {
  if (annotation.find_first_of(":/") == std::string::npos) {
    return {};
  }
  oci::Reference name = oci::parse_reference(annotation).with_default_tag();
  name.digest.clear();
  return name.tag.empty() ? std::vector<oci::Reference>{} : std::vector<oci::Reference>{name};
}

std::vector<ArchivedImage> read_oci_layout(ArchiveContent& content) {
  auto document = oci::parse_manifest(content.text("index.json"), "");
  auto* index = std::get_if<oci::Index>(&document);
  if (index == nullptr) {
    malformed("index.json is no index");
  }
  std::vector<ArchivedImage> images;
  for (size_t i = 0; i < index->manifests.size(); ++i) {
    auto found = find_manifest(content, index->manifests[i], 0);
    if (!found) {
      continue;  // for other platforms only
    }
    auto& [digest, manifest] = *found;
    ArchivedImage image;
    ArchiveFile& config = content.blob(manifest.config.digest);
    if (!config.text || manifest.config.digest.algorithm() != oci::DigestAlgorithm::kSha256) {
      malformed(fmt::format("configuration {} is no JSON with a sha256 digest", manifest.config.digest.text()));
    }
    image.config = *config.text;
    if (has_layers_here(parse_image_config(image.config))) {
      for (const oci::Descriptor& layer : manifest.layers) {
        image.layers.push_back(&content.layer(content.blob(layer.digest), layer.digest.text()));
      }
    }
    image.names = names_of(index->reference_names[i]);
    image.manifest = {digest, *content.blob(digest).text};
    images.push_back(std::move(image));
  }
  if (images.empty()) {
    throw Error(ErrorCode::kNotFound, fmt::format("no image for {} in the archive", oci::to_string(oci::host_platform())));
  }
  return images;
}

class Loading {
 public:
  explicit Loading(ImageStore::State& store) : store_(store) {}

  /// All or nothing.
  std::vector<std::string> add(const std::vector<ArchivedImage>& images) {
    for (const ArchivedImage& archived : images) {
      commit_layers(archived);
    }
    std::vector<std::string> lines;
    store_.tables.database().transaction([&] {
      for (const ArchivedImage& archived : images) {
        add_image(archived, lines);
      }
    });
    return lines;
  }

 private:
  void commit_layers(const ArchivedImage& archived) {
    Image image = parse_image_config(archived.config);
    if (!has_layers_here(image)) {
      return;
    }
    check_layers(archived, image);
    std::string parent;
    for (size_t i = 0; i < archived.layers.size(); ++i) {
      pins_.push_back(commit(*archived.layers[i], image.chain_ids[i], parent));
      parent = image.chain_ids[i];
    }
  }

  storage::LayerPin commit(ArchiveLayer& layer, const std::string& chain_id, const std::string& parent) {
    if (std::optional<storage::LayerPin> pin = store_.layers.pin(chain_id)) {
      layer.chain_id = chain_id;
      return std::move(*pin);
    }
    if (layer.unpacked) {
      storage::NewLayer unpacked = std::move(*layer.unpacked);
      layer.unpacked.reset();
      layer.chain_id = chain_id;
      return store_.layers.commit(std::move(unpacked), layer.diff_id.text(), parent, layer.size);
    }
    // The same content on top of something else.
    UniqueFd source = open_file(store_.layers.folder(layer.chain_id), O_RDONLY | O_DIRECTORY);
    storage::NewLayer copy = store_.layers.begin();
    clone_layer(source.get(), copy.folder());
    return store_.layers.commit(std::move(copy), layer.diff_id.text(), parent, layer.size);
  }

  void add_image(const ArchivedImage& archived, std::vector<std::string>& lines) {
    std::string id = store_.content.put(archived.config).text();
    std::vector<std::string> manifests;
    if (archived.manifest) {
      store_.content.put(archived.manifest->first, archived.manifest->second);
      manifests.push_back(archived.manifest->first.text());
    }
    store_.tables.add(id, manifests);
    for (const oci::Reference& name : archived.names) {
      store_.tables.name(name, id);
      lines.push_back("Loaded image: " + name.familiar());
    }
    if (archived.names.empty()) {
      lines.push_back("Loaded image ID: " + id);
    }
  }

  ImageStore::State& store_;
  std::vector<storage::LayerPin> pins_;
};

}  // namespace

std::vector<std::string> ImageStore::load(const ByteSource& read, const ProgressSink& progress) {
  try {
    ArchiveContent content(state_->layers, read, progress);
    std::vector<ArchivedImage> images;
    // Newer docker writes both: manifest.json says the tags.
    if (content.find("manifest.json") != nullptr) {
      images = read_docker_archive(content);
    } else if (content.find("index.json") != nullptr) {
      images = read_oci_layout(content);
    } else {
      throw Error(ErrorCode::kDataLoss, "archive has neither manifest.json (docker save) nor index.json (OCI layout)");
    }
    return Loading(*state_).add(images);
  } catch (...) {
    state_->layers.collect();
    throw;
  }
}

}  // namespace bulkhead::image
