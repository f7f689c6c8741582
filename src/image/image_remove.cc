// Removal of images, by Docker's rules (Engine API: DELETE /images/{name}).
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "database/database.h"
#include "image/image_store_state.h"
#include "support/error.h"

namespace bulkhead::image {
namespace {

std::string short_id(std::string_view id) {
  if (id.starts_with("sha256:")) {
    id.remove_prefix(7);
  }
  return std::string(id.substr(0, 12));
}

/// At most one tag, and digests only of the same repository: removing the image takes nobody by surprise.
bool is_single_reference(const std::vector<oci::Reference>& names) {
  auto tags = std::count_if(names.begin(), names.end(), [](const oci::Reference& name) { return name.digest.empty(); });
  std::set<std::string> repositories;
  for (const oci::Reference& name : names) {
    repositories.insert(name.name());
  }
  return names.size() <= 1 || (tags <= 1 && repositories.size() == 1);
}

bool is_id_prefix(const std::string& id, std::string_view text) {
  return id.starts_with(text) || std::string_view(id).substr(7).starts_with(text);
}

class Removing {
 public:
  Removing(ImageTables& tables, Image image, ImageStore::Force force, ImageStore::User user)
      : tables_(tables), image_(std::move(image)), force_(force), user_(std::move(user)) {}

  std::vector<Removal> run(const std::string& text) {
    std::vector<oci::Reference> names = tables_.names(image_.id);
    bool by_id = is_id_prefix(image_.id, text) && tables_.id_of_text(text).empty();
    if (by_id) {
      // A name more than the command can mean is a reason to ask.
      refuse_if_used(false);
      if (!is_single_reference(names) && force_ == ImageStore::Force::kNo) {
        refuse("must be forced", "image is referenced in multiple repositories");
      }
    } else if (!remove_name(text, names)) {
      return std::move(removals_);
    }
    for (const oci::Reference& name : tables_.names(image_.id)) {
      untag(name);
    }
    tables_.remove(image_.id);
    removals_.push_back({.untagged = "", .deleted = image_.id});
    return std::move(removals_);
  }

 private:
  [[noreturn]] void refuse(std::string_view how, std::string_view reason) const {
    throw Error(ErrorCode::kConflict, fmt::format("conflict: unable to delete {} ({}) - {}", short_id(image_.id), how, reason));
  }

  void refuse_if_used(bool keep_quietly) {
    if (user_.container_id.empty() || keep_quietly) {
      return;
    }
    std::string container = short_id(user_.container_id);
    if (user_.running) {
      refuse("cannot be forced", fmt::format("image is being used by running container {}", container));
    }
    if (force_ == ImageStore::Force::kNo) {
      refuse("must be forced", fmt::format("image is being used by stopped container {}", container));
    }
  }

  /// True where that was the last name and nothing uses the image: it may go.
  bool remove_name(const std::string& text, const std::vector<oci::Reference>& names) {
    if (force_ == ImageStore::Force::kNo && is_single_reference(names) && !user_.container_id.empty()) {
      throw Error(ErrorCode::kConflict,
                  fmt::format("conflict: unable to remove repository reference \"{}\" (must force) - container {} is using its "
                              "referenced image {}",
                              text, short_id(user_.container_id), short_id(image_.id)));
    }
    oci::Reference name = oci::parse_reference(text).with_default_tag();
    if (!name.digest.empty()) {
      name.tag.clear();
    }
    untag(name);
    std::vector<oci::Reference> left = tables_.names(image_.id);
    bool repository_has_tag = std::any_of(left.begin(), left.end(), [&](const oci::Reference& other) {
      return other.digest.empty() && other.name() == name.name();
    });
    // Digests that came with the last tag of a repository go with it.
    if (name.digest.empty() && !repository_has_tag) {
      for (const oci::Reference& other : left) {
        if (!other.digest.empty() && other.name() == name.name()) {
          untag(other);
        }
      }
    }
    if (!tables_.names(image_.id).empty()) {
      return false;
    }
    // A container still needs it: it stays, without a name.
    bool forced_past_stopped = force_ == ImageStore::Force::kYes && !user_.running;
    return user_.container_id.empty() || forced_past_stopped;
  }

  void untag(const oci::Reference& name) {
    tables_.unname(name);
    removals_.push_back({.untagged = name.familiar(), .deleted = ""});
  }

  ImageTables& tables_;
  const Image image_;
  const ImageStore::Force force_;
  const ImageStore::User user_;
  std::vector<Removal> removals_;
};

}  // namespace

std::vector<Removal> ImageStore::remove(const std::string& reference, Force force,
                                        const std::function<User(const std::string& image_id)>& in_use) {
  Image image = state_->tables.find(reference);
  User user = in_use ? in_use(image.id) : User();
  std::vector<Removal> removals;
  state_->tables.database().transaction(
      [&] { removals = Removing(state_->tables, std::move(image), force, std::move(user)).run(reference); });
  state_->layers.collect();
  return removals;
}

}  // namespace bulkhead::image
