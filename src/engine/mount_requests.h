// Bind mounts and tmpfs as a create request asks for them (-v, --mount, --tmpfs), checked and in one form. Pure but for
// `resolve_mounts` (spec_builder.h), which looks at and makes the sources.
#pragma once

#include <string>
#include <vector>

#include "engine/container.h"
#include "oci/runtime_spec.h"

namespace bulkhead::engine {

enum class MissingSource { kCreate, kRefuse };

struct MountRequest {
  MountView view;                                         // type "bind" or "tmpfs"
  bool recursive = true;                                  // bind
  bool shown = true;                                      // under Mounts of `inspect`: all but --tmpfs
  MissingSource missing_source = MissingSource::kRefuse;  // bind
  std::vector<std::string> tmpfs_options;
};

/// Sorted so that a mount on a folder comes before one inside it. Throws kInvalidArgument in Docker's words.
std::vector<MountRequest> mount_requests(const HostConfig& host_config);
oci::Mount to_mount(const MountRequest& request);
/// Where the anonymous volumes of a container (-v /path, VOLUME of its image) are, without those that a mount is in the place
/// of. Throws as mount_requests.
std::vector<std::string> volume_paths(const ContainerConfig& config, const HostConfig& host_config);
/// "a//b/./c/.." -> "a/b", as Go's path.Clean does.
std::string clean_path(const std::string& path);

}  // namespace bulkhead::engine
