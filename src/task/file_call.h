// A request about a container's files at its shim. One thread.
#pragma once

#include <filesystem>

#include "archive/file_request.h"
#include "support/unique_fd.h"

namespace bulkhead::task {

class FileCall {
 public:
  /// Asks the shim of this bundle. Throws kUnavailable or kNotFound where there is none.
  FileCall(const std::filesystem::path& bundle, const archive::FileRequest& request);

  /// Our end of the archive's stream (not for kStat). kPack: read to its end, then `finish`. kUnpack: write, end it by
  /// `end_stream`, then `finish`; a write that fails with EPIPE means that `finish` knows why.
  int stream() const { return stream_.get(); }
  void end_stream();
  /// Blocks until it is done. Throws why it could not be. Only then the archive is known to be whole.
  archive::PathStat finish();

 private:
  UniqueFd connection_;
  UniqueFd stream_;
};

}  // namespace bulkhead::task
