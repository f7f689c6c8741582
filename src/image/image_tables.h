// Which images there are and what they are called: rows of the database, configurations in the content store. An image is here
// only with all its layers. Thread-safe.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "image/content_store.h"
#include "image/image.h"
#include "oci/reference.h"

namespace bulkhead {
class Database;
}
namespace bulkhead::storage {
class LayerStore;
}

namespace bulkhead::image {

class ImageTables {
 public:
  /// Drops the images whose configuration or layers a crash took.
  ImageTables(Database& database, storage::LayerStore& layers, ContentStore& content);

  std::vector<Image> list();
  /// By reference, id or unique id prefix; throws kNotFound "No such image: ...".
  Image find(const std::string& text);
  std::optional<Image> find_id(const std::string& id);
  /// The id that a full name with tag or digest stands for, or "".
  std::string id_of(const oci::Reference& reference);
  /// The same for a name as a user writes it, "" also where it can be none.
  std::string id_of_text(const std::string& text);
  /// The id of the image that a manifest (by its digest) describes, or "".
  std::string id_of_manifest(const std::string& digest);

  /// Adds the image whose configuration is in the content store; its layers must be pinned by the caller.
  void add(const std::string& id, const std::vector<std::string>& manifest_digests);
  /// Names the image; a tag is taken from the image that had it.
  void name(const oci::Reference& reference, const std::string& id);
  void unname(const oci::Reference& reference);
  /// Every name, tags first.
  std::vector<oci::Reference> names(const std::string& id);
  /// Removes the image with all its names; its layers are released.
  void remove(const std::string& id);

  Database& database() { return database_; }

 private:
  void drop_broken();
  Image load(const std::string& id);
  void add_names(Image& image);
  std::string resolve(const std::string& text);

  Database& database_;
  storage::LayerStore& layers_;
  ContentStore& content_;
  std::mutex mutex_;
  std::map<std::string, Image> parsed_;  // configurations read before, without names; guarded by mutex_
};

/// "No such image: debian:latest", in Docker's words.
[[noreturn]] void throw_no_such_image(const std::string& text);

}  // namespace bulkhead::image
