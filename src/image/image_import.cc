// `docker import`: the tar of a root file system becomes an image of one layer.
#include <fmt/format.h>

#include "database/database.h"
#include "image/client_stream.h"
#include "image/dockerfile_change.h"
#include "image/image_config.h"
#include "image/image_store_state.h"
#include "image/layer_writer.h"
#include "oci/manifest.h"
#include "support/error.h"
#include "support/time.h"

namespace bulkhead::image {

Image ImageStore::import(const ImportRequest& request, const ByteSource& read) {
  // Everything that the request can get wrong first: nobody uploads a gigabyte to learn of a bad name.
  std::optional<oci::Reference> name;
  if (!request.reference.empty()) {
    name = oci::parse_reference(request.reference).with_default_tag();
    if (!name->digest.empty()) {
      throw Error(ErrorCode::kInvalidArgument, "cannot import digest reference");
    }
  }
  oci::Platform platform = oci::parse_platform(request.platform);
  if (platform.os != "linux") {
    throw Error(ErrorCode::kNotSupported, fmt::format("operating system \"{}\" is not supported", platform.os));
  }
  Image image;
  for (const std::string& change : request.changes) {
    apply_change(change, image.config);
  }

  LayerWriter writer(state_->layers.begin());
  ClientStream stream(read);
  for (std::string_view bytes = stream.next(); !bytes.empty(); bytes = stream.next()) {
    writer.write(bytes);
  }
  LayerWriter::Result layer = writer.finish();

  image.created = rfc3339(now());
  image.os = platform.os;
  image.architecture = platform.architecture;
  image.variant = platform.variant;
  image.comment = request.message.empty() ? "Imported from -" : request.message;
  image.diff_ids = {layer.diff_id.text()};
  image.history = {{.created = image.created, .created_by = {}, .author = {}, .comment = image.comment}};
  std::string config = make_image_config(image);
  try {
    storage::LayerPin pin = state_->layers.commit(std::move(layer.layer), layer.diff_id.text(), "", layer.size);
    std::string id;
    state_->tables.database().transaction([&] {
      id = state_->content.put(config).text();
      state_->tables.add(id, {});
      if (name) {
        state_->tables.name(*name, id);
      }
    });
    return state_->tables.find(id);
  } catch (...) {
    state_->layers.collect();
    throw;
  }
}

}  // namespace bulkhead::image
