// One request about the files inside a container, carried out: for whoever has a descriptor of its root.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>

#include "archive/file_request.h"

namespace bulkhead::archive {

/// `root`: O_PATH, of the container's root; `stream`: where the archive goes or comes from (kStat: not used), blocking.
/// `owner`: FileRequest::owner looked up. Returns what is at the path (kUnpack: the folder).
///
/// In a thread of its own: its umask becomes 0. Throws kNotFound where nothing is at the path; kInvalidArgument where it can't
/// be unpacked there; kPermissionDenied where it is read-only (in Docker's words); and as Packer and Unpacker do.
PathStat work_on_files(int root, const FileRequest& request, int stream,
                       std::optional<std::pair<uint32_t, uint32_t>> owner = std::nullopt);

}  // namespace bulkhead::archive
