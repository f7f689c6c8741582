#include "image/image_tables.h"

#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "archive/archive_path.h"
#include "database/database.h"
#include "image/image_config.h"
#include "storage/layer_store.h"
#include "support/error.h"
#include "support/log.h"
#include "support/time.h"

namespace bulkhead::image {
namespace {

constexpr const char* kSchema =
    "CREATE TABLE IF NOT EXISTS images (id TEXT PRIMARY KEY, created INTEGER NOT NULL, top_layer TEXT NOT NULL);"
    "CREATE TABLE IF NOT EXISTS image_names (reference TEXT PRIMARY KEY, image_id TEXT NOT NULL REFERENCES images(id));"
    "CREATE INDEX IF NOT EXISTS image_names_image ON image_names(image_id);"
    "CREATE TABLE IF NOT EXISTS image_manifests (digest TEXT PRIMARY KEY, image_id TEXT NOT NULL REFERENCES images(id));"
    "CREATE INDEX IF NOT EXISTS image_manifests_image ON image_manifests(image_id);";

constexpr size_t kMaxParsed = 64;

bool is_id_prefix(std::string_view text) {
  return !text.empty() && text.size() <= 64 &&
         std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

int64_t created_of(const Image& image) {
  std::optional<TimePoint> time = parse_rfc3339(image.created);
  return time ? time->time_since_epoch().count() : 0;
}

}  // namespace

void throw_no_such_image(const std::string& text) {
  std::string familiar = archive::printable(text);
  if (!text.starts_with("sha256:") && !oci::is_full_id(text)) {
    familiar = oci::parse_reference(text).with_default_tag().familiar();
  }
  throw Error(ErrorCode::kNotFound, "No such image: " + familiar);
}

ImageTables::ImageTables(Database& database, storage::LayerStore& layers, ContentStore& content)
    : database_(database), layers_(layers), content_(content) {
  database_.script(kSchema);
  drop_broken();
}

void ImageTables::drop_broken() {
  std::vector<std::pair<std::string, std::string>> all;
  database_.run("SELECT id, top_layer FROM images", {},
                [&](const DatabaseRow& row) { all.emplace_back(row.text(0), row.text(1)); });
  for (const auto& [id, top] : all) {
    if ((top.empty() || layers_.find(top)) && content_.get(oci::Digest::parse(id))) {
      continue;
    }
    log::warn("image {} lost its files when the machine went down: dropped, pull it again", id);
    remove(id);
  }
  layers_.collect();
  std::set<std::string> known;
  auto add = [&](const DatabaseRow& row) { known.insert(row.text(0)); };
  database_.run("SELECT id FROM images", {}, add);
  database_.run("SELECT digest FROM image_manifests", {}, add);
  content_.retain_only(known);
}

Image ImageTables::load(const std::string& id) {
  {
    std::lock_guard lock(mutex_);
    if (auto found = parsed_.find(id); found != parsed_.end()) {
      return found->second;
    }
  }
  std::optional<std::string> bytes = content_.get(oci::Digest::parse(id));
  if (!bytes) {
    throw Error(ErrorCode::kDataLoss, fmt::format("configuration of image {} is damaged", id));
  }
  Image image = parse_image_config(*bytes);
  image.id = id;
  auto entry = image.history.begin();
  for (const std::string& chain_id : image.chain_ids) {
    std::optional<storage::LayerInfo> layer = layers_.find(chain_id);
    if (!layer) {
      throw Error(ErrorCode::kDataLoss, fmt::format("layer {} of image {} is missing", chain_id, id));
    }
    image.size += layer->size;
    entry = std::find_if(entry, image.history.end(), [](const HistoryEntry& item) { return !item.empty_layer; });
    if (entry != image.history.end()) {
      entry->size = layer->size;
      ++entry;
    }
  }
  std::lock_guard lock(mutex_);
  if (parsed_.size() >= kMaxParsed) {
    parsed_.clear();
  }
  parsed_[id] = image;
  return image;
}

std::vector<oci::Reference> ImageTables::names(const std::string& id) {
  std::vector<oci::Reference> names;
  database_.run("SELECT reference FROM image_names WHERE image_id = ? ORDER BY instr(reference, '@') > 0, reference", {id},
                [&](const DatabaseRow& row) { names.push_back(oci::parse_reference(row.text(0))); });
  return names;
}

void ImageTables::add_names(Image& image) {
  for (const oci::Reference& name : names(image.id)) {
    (name.digest.empty() ? image.tags : image.digests).push_back(name.familiar());
  }
}

std::vector<Image> ImageTables::list() {
  std::vector<std::string> ids;
  database_.run("SELECT id FROM images ORDER BY created DESC, id", {},
                [&](const DatabaseRow& row) { ids.push_back(row.text(0)); });
  std::vector<Image> images;
  for (const std::string& id : ids) {
    if (std::optional<Image> image = find_id(id)) {  // another thread may remove it meanwhile
      images.push_back(std::move(*image));
    }
  }
  return images;
}

std::optional<Image> ImageTables::find_id(const std::string& id) {
  bool there = false;
  database_.run("SELECT 1 FROM images WHERE id = ?", {id}, [&](const DatabaseRow&) { there = true; });
  if (!there) {
    return std::nullopt;
  }
  Image image = load(id);
  add_names(image);
  return image;
}

std::string ImageTables::id_of(const oci::Reference& reference) {
  std::string id;
  oci::Reference key = reference.with_default_tag();
  if (!key.digest.empty()) {
    key.tag.clear();
  }
  database_.run("SELECT image_id FROM image_names WHERE reference = ?", {key.text()},
                [&](const DatabaseRow& row) { id = row.text(0); });
  return id;
}

std::string ImageTables::id_of_text(const std::string& text) {
  try {
    return id_of(oci::parse_reference(text));
  } catch (const Error&) {
    return "";  // an id
  }
}

std::string ImageTables::id_of_manifest(const std::string& digest) {
  std::string id;
  database_.run("SELECT image_id FROM image_manifests WHERE digest = ?", {digest},
                [&](const DatabaseRow& row) { id = row.text(0); });
  return id;
}

std::string ImageTables::resolve(const std::string& text) {
  std::string_view prefix = text;
  bool says_id = prefix.starts_with("sha256:");
  prefix.remove_prefix(says_id ? 7 : 0);
  bool full = oci::is_full_id(prefix);
  if (!full) {
    // A name wins over an id that starts so. Throws "invalid reference format" where it can be neither.
    if (std::string id = id_of(oci::parse_reference(text)); !id.empty()) {
      return id;
    }
  }
  if (!is_id_prefix(prefix)) {
    return "";
  }
  std::vector<std::string> ids;
  database_.run("SELECT id FROM images WHERE id >= ? AND id < ? LIMIT 2",
                {"sha256:" + std::string(prefix), "sha256:" + std::string(prefix) + "g"},
                [&](const DatabaseRow& row) { ids.push_back(row.text(0)); });
  return ids.size() == 1 ? ids[0] : "";
}

Image ImageTables::find(const std::string& text) {
  std::string id = resolve(text);
  std::optional<Image> image = id.empty() ? std::nullopt : find_id(id);
  if (!image) {
    throw_no_such_image(text);
  }
  return std::move(*image);
}

void ImageTables::add(const std::string& id, const std::vector<std::string>& manifest_digests) {
  Image image = load(id);
  database_.transaction([&] {
    bool there = false;
    database_.run("SELECT 1 FROM images WHERE id = ?", {id}, [&](const DatabaseRow&) { there = true; });
    if (!there) {
      std::string top = image.chain_ids.empty() ? "" : image.chain_ids.back();
      database_.run("INSERT INTO images (id, created, top_layer) VALUES (?, ?, ?)", {id, created_of(image), top});
      if (!top.empty()) {
        layers_.reference(top);
      }
    }
    for (const std::string& digest : manifest_digests) {
      database_.run("INSERT OR REPLACE INTO image_manifests (digest, image_id) VALUES (?, ?)", {digest, id});
    }
  });
}

void ImageTables::name(const oci::Reference& reference, const std::string& id) {
  if (reference.familiar_name() == "sha256") {
    throw Error(ErrorCode::kInvalidArgument,
                "refusing to create an ambiguous tag using digest algorithm as name: 'sha256:...' is an image's id");
  }
  database_.run(
      "INSERT INTO image_names (reference, image_id) VALUES (?, ?) "
      "ON CONFLICT(reference) DO UPDATE SET image_id = excluded.image_id",
      {reference.text(), id});
}

void ImageTables::unname(const oci::Reference& reference) {
  database_.run("DELETE FROM image_names WHERE reference = ?", {reference.text()});
}

void ImageTables::remove(const std::string& id) {
  std::vector<std::string> blobs{id};
  database_.transaction([&] {
    std::string top;
    database_.run("SELECT top_layer FROM images WHERE id = ?", {id}, [&](const DatabaseRow& row) { top = row.text(0); });
    database_.run("SELECT digest FROM image_manifests WHERE image_id = ?", {id},
                  [&](const DatabaseRow& row) { blobs.push_back(row.text(0)); });
    database_.run("DELETE FROM image_names WHERE image_id = ?", {id});
    database_.run("DELETE FROM image_manifests WHERE image_id = ?", {id});
    database_.run("DELETE FROM images WHERE id = ?", {id});
    if (!top.empty()) {
      layers_.release(top);
    }
    // Inside the transaction: its lock keeps a pull of the same image from adding it between the row's end and the file's.
    for (const std::string& blob : blobs) {
      content_.remove(oci::Digest::parse(blob));
    }
  });
  std::lock_guard lock(mutex_);
  parsed_.erase(id);
}

}  // namespace bulkhead::image
