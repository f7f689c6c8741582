// The X-Registry-Auth header: JSON in base64url (RFC 4648, section 5).
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "image/image_store.h"

namespace bulkhead::api {

/// nullopt where the text is no base64, in either alphabet.
std::optional<std::string> decode_base64(std::string_view text);
/// nullopt where the header is absent, empty, or can't be read: then the pull is anonymous, as in Docker.
std::optional<image::Credentials> parse_registry_auth(std::string_view header);

}  // namespace bulkhead::api
