// A create request as the policy sees it, with what only the engine knows of it: the image it names, where links lead, who
// asks.
#pragma once

#include "engine/container.h"
#include "policy/request.h"

namespace bulkhead::image {
struct Image;
}

namespace bulkhead::engine {

struct CreateRequest;

policy::Request admission_request(const CreateRequest& request, const image::Image& image);
/// Of a container that was made before there were policies: what is known of it.
policy::Request admission_request(const Container& container);

}  // namespace bulkhead::engine
