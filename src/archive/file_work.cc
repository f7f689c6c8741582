#include "archive/file_work.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <cerrno>
#include <memory>

#include "archive/archive_path.h"
#include "archive/packer.h"
#include "archive/root.h"
#include "archive/tar_reader.h"
#include "archive/unpacker.h"
#include "support/error.h"

namespace bulkhead::archive {
namespace {

class StreamSource : public ChunkSource {
 public:
  explicit StreamSource(int stream) : stream_(stream), buffer_(std::make_unique<char[]>(kSize)) {}
  std::string_view next() override {
    for (;;) {
      ssize_t count = ::read(stream_, buffer_.get(), kSize);
      if (count >= 0) {
        return {buffer_.get(), static_cast<size_t>(count)};
      }
      if (errno != EINTR) {
        throw system_error("read the archive");
      }
    }
  }

 private:
  static constexpr size_t kSize = 256UL << 10;
  int stream_;
  std::unique_ptr<char[]> buffer_;
};

/// The kernel would refuse each file; this says it in Docker's words, before anything is read.
void check_writable(int root, int folder, const std::string& path) {
  struct statvfs info {};
  if (::fstatvfs(folder, &info) != 0 || (info.f_flag & ST_RDONLY) == 0) {
    return;
  }
  UniqueFd top = open_in_root(root, "/", O_PATH);
  bool of_root = top && mount_id(top.get()) == mount_id(folder);
  throw Error(ErrorCode::kPermissionDenied, fmt::format("{} is marked read-only: nothing can be copied into '{}'",
                                                        of_root ? "container rootfs" : "mounted volume", printable(path)));
}

/// Without the slashes around it and the "/." at its end.
std::string bare(std::string path) {
  if (path.ends_with("/.")) {
    path.resize(path.size() - 2);
  }
  while (path.ends_with('/')) {
    path.pop_back();
  }
  return path.starts_with('/') ? path.substr(1) : path;
}

void unpack(int root, const FileRequest& request, int stream, std::optional<std::pair<uint32_t, uint32_t>> owner) {
  // For the words of a refusal, before anything is read: Unpacker resolves the path again for each folder, as links below it
  // may lead anywhere in the root, and checks what it has opened.
  UniqueFd folder = open_in_root(root, request.path, O_PATH);
  struct stat info {};
  if (!folder || ::fstat(folder.get(), &info) != 0) {
    fail_at(request.path, "open");
  }
  if (!S_ISDIR(info.st_mode)) {
    throw Error(ErrorCode::kInvalidArgument, fmt::format("extraction point is not a directory: '{}'", printable(request.path)));
  }
  check_writable(root, folder.get(), request.path);
  StreamSource source(stream);
  TarReader reader(source);
  Unpacker(root, {.folder = bare(request.path), .overwrite = request.overwrite, .owner = owner}).unpack(reader);
  reader.drain();
}

}  // namespace

PathStat work_on_files(int root, const FileRequest& request, int stream, std::optional<std::pair<uint32_t, uint32_t>> owner) {
  PathStat found = stat_path(root, request.path);
  if (request.kind == FileRequest::Kind::kPack) {
    Packer(root, stream).pack(request.path);
  } else if (request.kind == FileRequest::Kind::kUnpack) {
    unpack(root, request, stream, owner);
  }
  return found;
}

}  // namespace bulkhead::archive
