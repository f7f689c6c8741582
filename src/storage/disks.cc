#include "storage/disks.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fts.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <memory>

#include "linux/mount_namespace.h"
#include "support/command.h"
#include "support/error.h"
#include "support/files.h"
#include "support/random.h"
#include "support/scope_guard.h"

namespace bulkhead::storage {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kSmallest = 16LL << 20;  // what ext4 with its journal fits into

void run(const char* program, std::vector<std::string> arguments, const char* package, const fs::path& disk) {
  arguments.insert(arguments.begin(), program);
  CommandOutcome outcome;
  try {
    outcome = run_command({.program = program, .arguments = std::move(arguments), .folder = {}});
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kNotFound) {
      throw Error(ErrorCode::kNotSupported,
                  fmt::format("hyperv isolation needs the program {}: install the package '{}'", program, package));
    }
    throw;
  }
  if (!outcome.succeeded()) {
    std::string complaint = outcome.complaint();
    bool full = complaint.find("No space left") != std::string::npos;
    throw Error(full ? ErrorCode::kResourceExhausted : ErrorCode::kInternal,
                fmt::format("make the disk '{}': {}: {}", disk.native(), program, complaint));
  }
}

/// Gives `disk` its name once `make` has filled a file beside it.
template <typename Make>
void make_beside(const fs::path& disk, const Make& make) {
  fs::path unfinished = fmt::format("{}.new-{}", disk.native(), random_hex(6));
  ScopeGuard remove([&] { ::unlink(unfinished.c_str()); });
  make(unfinished);
  if (::truncate(unfinished.c_str(), kDiskSize) != 0) {
    throw system_error(fmt::format("size the disk '{}'", disk.native()));
  }
  UniqueFd file = open_file(unfinished, O_RDONLY);
  // SECURITY: what comes after a crash must not be a part of an image that says it is whole.
  if (::fdatasync(file.get()) != 0 || ::rename(unfinished.c_str(), disk.c_str()) != 0) {
    throw system_error(fmt::format("write the disk '{}'", disk.native()));
  }
  remove.dismiss();
}

/// Bytes of holes in the files below a folder.
int64_t count_holes(const fs::path& folder) {
  std::string name = folder.native();
  std::array<char*, 2> roots{name.data(), nullptr};
  std::unique_ptr<FTS, int (*)(FTS*)> walk(::fts_open(roots.data(), FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, nullptr),
                                           ::fts_close);
  int64_t holes = 0;
  while (const FTSENT* entry = walk ? ::fts_read(walk.get()) : nullptr) {
    if (entry->fts_info == FTS_F) {
      holes += std::max<int64_t>(0, entry->fts_statp->st_size - int64_t{entry->fts_statp->st_blocks} * 512);
    }
  }
  return holes;
}

void make_erofs(const fs::path& file, const fs::path& folder, const fs::path& disk) {
  constexpr int64_t kFew = 64LL << 20;
  // SECURITY: mkfs.erofs reads holes as zeros: an image of a few bytes may be days of work.
  constexpr int64_t kMost = 8LL << 30;
  std::vector<std::string> arguments{"--quiet", "--preserve-mtime"};
  int64_t holes = count_holes(folder);
  if (holes > kMost) {
    throw Error(ErrorCode::kNotSupported,
                fmt::format("the image has sparse files with {} bytes of holes: more than {} can't be made a disk, as hyperv "
                            "isolation needs. Use --isolation=process, or an image without them",
                            holes, kMost));
  }
  if (holes > kFew) {
    arguments.emplace_back("--chunksize=1048576");  // chunks of zeros are then stored once
  }
  arguments.insert(arguments.end(), {file.native(), folder.native()});
  run("mkfs.erofs", std::move(arguments), "erofs-utils", disk);
}

void make_ext4(const fs::path& disk, int64_t size) {
  // Sparse: nothing needs to be zeroed, neither now nor by the guest. A journal, as a guest may be killed at any moment.
  run("mkfs.ext4",
      {"-q", "-F", "-m", "0", "-i", "65536", "-J", "size=8", "-E", "nodiscard,assume_storage_prezeroed=1,root_owner=0:0",
       disk.native(), fmt::format("{}k", size >> 10)},
      "e2fsprogs", disk);
}

/// The parts of a file that are there.
void copy_sparse(const fs::path& from, const fs::path& to) {
  UniqueFd source = open_file(from, O_RDONLY);
  UniqueFd target = open_file(to, O_WRONLY | O_CREAT | O_EXCL, 0600);
  auto fail = [&] { return system_error(fmt::format("copy '{}' to '{}'", from.native(), to.native())); };
  if (::ftruncate(target.get(), kDiskSize) != 0) {
    throw fail();
  }
  for (off_t position = 0;;) {
    off_t data = ::lseek(source.get(), position, SEEK_DATA);
    if (data < 0 && errno == ENXIO) {
      return;  // a hole until the end
    }
    off_t hole = ::lseek(source.get(), data, SEEK_HOLE);
    if (data < 0 || hole < 0) {
      throw fail();
    }
    off_t written = data;
    for (position = data; position < hole;) {
      if (::copy_file_range(source.get(), &position, target.get(), &written, static_cast<size_t>(hole - position), 0) <= 0) {
        throw fail();
      }
    }
  }
}

}  // namespace

void make_image_disk(const fs::path& disk, const std::vector<fs::path>& layers, const fs::path& work) {
  std::string options = "lowerdir=";
  for (const fs::path& layer : layers) {
    options += (options.ends_with('=') ? "" : ":") + layer.native();
  }
  make_beside(disk, [&](const fs::path& file) {
    if (layers.size() == 1) {  // that of an image without layers: nothing to join
      make_erofs(file, layers[0], disk);
      return;
    }
    linux::with_private_mounts([&] {
      if (::mount("overlay", work.c_str(), "overlay", MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC, options.c_str()) != 0) {
        throw system_error(fmt::format("join the layers of '{}'", disk.native()));
      }
      make_erofs(file, work, disk);
    });
    static_cast<void>(::chmod(file.c_str(), 0600));
  });
}

void make_blank_disk(const fs::path& blank) {
  if (::access(blank.c_str(), F_OK) != 0) {
    make_beside(blank, [&](const fs::path& file) {
      UniqueFd created = open_file(file, O_WRONLY | O_CREAT | O_EXCL, 0600);
      make_ext4(file, kDiskSize);
    });
  }
}

void make_scratch_disk(const fs::path& disk, int64_t size, const fs::path& blank) {
  if (size < kSmallest || size > kDiskSize) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("a container's disk has {} to {} bytes, not {}", kSmallest, kDiskSize, size));
  }
  if (size < kDiskSize) {
    make_beside(disk, [&](const fs::path& file) {
      UniqueFd created = open_file(file, O_WRONLY | O_CREAT | O_EXCL, 0600);
      make_ext4(file, size);
    });
    return;
  }
  make_blank_disk(blank);
  copy_sparse(blank, disk);
}

int64_t allocated_size(const fs::path& file) {
  struct stat status {};
  if (::stat(file.c_str(), &status) != 0) {
    throw system_error(fmt::format("measure '{}'", file.native()));
  }
  return int64_t{status.st_blocks} * 512;
}

}  // namespace bulkhead::storage
