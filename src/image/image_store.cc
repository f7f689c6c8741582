#include "image/image_store.h"

#include <fmt/format.h>

#include "image/image_pull.h"
#include "image/image_store_state.h"
#include "support/error.h"

namespace bulkhead::image {

ImageStore::ImageStore(ImageStoreOptions options, Database& database, storage::LayerStore& layers)
    : state_(std::make_unique<State>(std::move(options), database, layers)) {}

ImageStore::~ImageStore() = default;

std::vector<Image> ImageStore::list() { return state_->tables.list(); }

Image ImageStore::find(const std::string& reference) { return state_->tables.find(reference); }

Image ImageStore::pull(const PullRequest& request, const ProgressSink& progress, const CancelToken& cancel) {
  return ImagePull(*state_, request, progress, cancel).run();
}

void ImageStore::tag(const std::string& source, const std::string& repository, const std::string& tag) {
  oci::Reference target = oci::parse_reference(repository);
  if (!target.digest.empty()) {
    throw Error(ErrorCode::kInvalidArgument, "refusing to create a tag with a digest reference");
  }
  if (!tag.empty()) {
    if (!oci::is_valid_tag(tag)) {
      throw Error(ErrorCode::kInvalidArgument, "invalid tag format");
    }
    target.tag = tag;
  }
  std::string id = state_->tables.find(source).id;
  state_->tables.name(target.with_default_tag(), id);
}

}  // namespace bulkhead::image
