// A request about a container's files at its shim. One thread.
#pragma once

#include <chrono>
#include <filesystem>
#include <string_view>
#include <vector>

#include "archive/file_request.h"
#include "support/error.h"
#include "support/unique_fd.h"

namespace bulkhead::task {

/// What breaks a call off, and what it then throws.
struct Interrupt {
  enum class When { kAtOnce, kWhileWaiting };  // the latter: not as long as the container goes on
  int descriptor = -1;                         // its owner outlives the call
  short events = 0;                            // as for poll(2)
  When when = When::kAtOnce;
  Error error;
};

/// Every wait for the container has an end: SECURITY: what answers may be a guest, which may say nothing at all.
class FileCall {
 public:
  /// Asks the shim of this bundle. Throws kUnavailable where there is none.
  FileCall(const std::filesystem::path& bundle, const archive::FileRequest& request, std::vector<Interrupt> interrupts);

  // The archive's stream (not for kStat). Throw kDeadlineExceeded where the container takes or gives no byte for a minute.
  /// kPack: up to its end (0), then `finish`.
  size_t read(char* buffer, size_t size);
  /// kUnpack: false where the container takes no more; `finish` knows why. After the last byte `end_stream`, then `finish`.
  bool write(std::string_view bytes);
  void end_stream();
  /// Blocks until it is done. Throws why it could not be. Only then the archive is known to be whole.
  archive::PathStat finish();

 private:
  void wait(int descriptor, short events) const;

  UniqueFd connection_;
  UniqueFd stream_;
  std::vector<Interrupt> interrupts_;
  std::chrono::seconds patience_;
};

}  // namespace bulkhead::task
