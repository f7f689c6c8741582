#include "sandbox/vm/keeper/throwaway_disks.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "sandbox/vm/keeper/memory_file.h"
#include "sandbox/vm/vm_start.h"
#include "support/command.h"
#include "support/error.h"
#include "support/files.h"
#include "support/scope_guard.h"
#include "support/sparse_copy.h"

namespace bulkhead::sandbox::vm {
namespace {

void run(const char* program, std::vector<std::string> arguments) {
  arguments.insert(arguments.begin(), program);
  CommandOutcome outcome = run_command({.program = program, .arguments = std::move(arguments), .folder = {}});
  if (!outcome.succeeded()) {
    throw Error(ErrorCode::kInternal, fmt::format("make a throw-away disk: {}: {}", program, outcome.complaint()));
  }
}

UniqueFd take_into_memory(const std::filesystem::path& path) {
  UniqueFd disk = make_memory_file("bulkhead-disk", kDiskSize);
  copy_sparse(open_file(path, O_RDONLY).get(), disk.get());
  return disk;
}

}  // namespace

ThrowawayDisks::ThrowawayDisks(const std::filesystem::path& folder, const std::filesystem::path& blank)
    : folder_(blank.parent_path()) {
  std::filesystem::path work = folder / "vm-keeper-disks";
  remove_folder(work);
  auto clean_up = ScopeGuard([&] {
    std::error_code ignored;
    std::filesystem::remove_all(work, ignored);
  });
  for (const char* name : {"root/proc", "root/sys", "root/dev", "root/etc"}) {
    make_folders(work / name);
  }
  replace_file(work / "root/warm-up", "", 0755, Durability::kUnsynced);
  replace_file(work / "root/etc/passwd", "root:x:0:0:root:/root:/bin/sh\n", 0644, Durability::kUnsynced);
  replace_file(work / "root/etc/group", "root:x:0:\n", 0644, Durability::kUnsynced);
  run("mkfs.erofs", {(work / "image").native(), (work / "root").native()});
  image_ = take_into_memory(work / "image");
  seal(image_);
  if (!blank.empty()) {
    blank_ = take_into_memory(blank);
    return;
  }
  // As the disks of containers are made (storage/disks.cc).
  run("mkfs.ext4",
      {"-q", "-F", "-m", "0", "-i", "65536", "-J", "size=8", "-E", "nodiscard,assume_storage_prezeroed=1,root_owner=0:0",
       (work / "scratch").native(), fmt::format("{}k", kDiskSize >> 10)});
  blank_ = take_into_memory(work / "scratch");
}

UniqueFd ThrowawayDisks::image() const { return reopen_for_reading(image_); }

UniqueFd ThrowawayDisks::scratch() const {
  UniqueFd copy = make_memory_file("bulkhead-disk", kDiskSize);
  copy_sparse(blank_.get(), copy.get());
  return copy;
}

UniqueFd ThrowawayDisks::linkable_scratch() const {
  UniqueFd disk(folder_.empty() ? -1 : ::open(folder_.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
  if (!disk || ::ftruncate(disk.get(), static_cast<off_t>(kDiskSize)) != 0) {
    return scratch();
  }
  try {
    copy_sparse(blank_.get(), disk.get());
  } catch (const Error&) {  // no room
    return scratch();
  }
  return disk;
}

}  // namespace bulkhead::sandbox::vm
