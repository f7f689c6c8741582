// Image configurations (OCI image-spec config.md; Docker's v2.2 superset): the blob whose digest is the image's id. Pure.
#pragma once

#include <string>
#include <string_view>

#include "image/image.h"

namespace bulkhead::image {

/// Fills everything that the blob says, and chain_ids. Throws kDataLoss (malformed) or kNotSupported (neither for Linux nor for
/// Windows).
Image parse_image_config(std::string_view bytes);

/// The "config" object of a blob for what an import says.
std::string make_image_config(const Image& image);

}  // namespace bulkhead::image
