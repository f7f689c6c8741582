#include "storage/snapshot_store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fts.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>

#include "storage/disks.h"
#include "storage/layer_store.h"
#include "storage/trash.h"
#include "support/error.h"
#include "support/files.h"
#include "support/remove_tree.h"

namespace bulkhead::storage {
namespace {

namespace fs = std::filesystem;

// mount(2) copies one page of options, its last byte a NUL; some room for options that the runner may add.
constexpr size_t kMaxMountData = 4096 - 64;
constexpr const char* kScratchDisk = "scratch.ext4";
constexpr const char* kBlankDisk = "blank.ext4";

std::string missing(const std::string& id) { return fmt::format("snapshot {} does not exist", id); }

void make_folder(const fs::path& path, mode_t mode) {
  // chmod: the container sees the upper folder's mode as that of its root, whatever this process' umask.
  if (::mkdir(path.c_str(), mode) != 0 || ::chmod(path.c_str(), mode) != 0) {
    throw system_error(fmt::format("create folder '{}'", path.native()));
  }
}

/// fts(3) needs paths; the tree's owner may have made it deeper than a path can say: such parts are not counted.
int64_t size_of_tree(const fs::path& path) {
  std::string name = path.native();
  std::array<char*, 2> roots{name.data(), nullptr};
  std::unique_ptr<FTS, int (*)(FTS*)> walk(::fts_open(roots.data(), FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, nullptr),
                                           ::fts_close);
  if (!walk) {
    throw system_error(fmt::format("measure '{}'", name));
  }
  int64_t total = 0;
  while (const FTSENT* entry = ::fts_read(walk.get())) {
    if (entry->fts_info == FTS_F || entry->fts_info == FTS_SL) {
      total += entry->fts_statp->st_size;
    }
  }
  return total;
}

}  // namespace

SnapshotStore::SnapshotStore(const fs::path& root, LayerStore& layers)
    : root_(fs::absolute(root) / "snapshots"),
      layers_(layers),
      has_index_option_(::access("/sys/module/overlay/parameters/index", F_OK) == 0) {
  make_folders(root_, 0700);
  trash_ = std::make_unique<Trash>(root_.parent_path() / "trash" / "snapshots");
}

SnapshotStore::~SnapshotStore() = default;

fs::path SnapshotStore::folder(const std::string& id) const {
  // SECURITY: an id is one plain file name, never a way out of the folder.
  bool plain = !id.empty() && id.size() <= 128 && id[0] != '.' && std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
  });
  if (!plain) {
    throw Error(ErrorCode::kInvalidArgument, fmt::format("'{}' can't be a snapshot's id", id));
  }
  return root_ / id;
}

fs::path SnapshotStore::make_folder_of(const std::string& id, const std::vector<std::string>& chain_ids) {
  // overlayfs wants the topmost first, and at least one.
  std::string lower;
  for (auto chain = chain_ids.rbegin(); chain != chain_ids.rend(); ++chain) {
    lower += (lower.empty() ? "" : ":") + layers_.short_name(*chain);
  }
  fs::path path = folder(id);
  if (::mkdir(path.c_str(), 0700) != 0) {
    if (errno == EEXIST) {
      throw Error(ErrorCode::kConflict, fmt::format("snapshot {} exists already", id));
    }
    throw system_error(fmt::format("create folder '{}'", path.native()));
  }
  // A link's text is written in one step, with the folder's own journal entry: no file to write, close and sync.
  if (::symlink(lower.empty() ? "0" : lower.c_str(), (path / "lower").c_str()) != 0) {
    Error error = system_error(fmt::format("create link '{}'", (path / "lower").native()));
    trash_->discard(path);
    throw error;
  }
  return path;
}

void SnapshotStore::create(const std::string& id, const std::vector<std::string>& chain_ids) {
  fs::path path = make_folder_of(id, chain_ids);
  try {
    make_folder(path / "upper", 0755);
    make_folder(path / "work", 0700);
  } catch (...) {
    trash_->discard(path);
    throw;
  }
}

fs::path SnapshotStore::blank_disk() {
  fs::path blank = root_.parent_path() / kBlankDisk;
  make_blank_disk(blank);
  return blank;
}

void SnapshotStore::create_disks(const std::string& id, const std::vector<std::string>& chain_ids, int64_t size) {
  fs::path path = make_folder_of(id, chain_ids);
  try {
    need_image_disk(lower_names(id));
    make_scratch_disk(path / kScratchDisk, size, root_.parent_path() / kBlankDisk);
  } catch (...) {
    trash_->discard(path);
    throw;
  }
}

fs::path SnapshotStore::image_disk(const std::vector<std::string>& lower) const {
  fs::path topmost = layers_.link_folder() / lower.front();
  std::error_code failed;
  fs::path layer = fs::canonical(topmost, failed);  // "<root>/layers/<hex>/diff"; "<root>/l/0" for an image without layers
  if (failed) {
    throw Error(ErrorCode::kNotFound, fmt::format("the layer '{}' is gone", topmost.native()));
  }
  return lower.front() == "0" ? root_.parent_path() / "empty.erofs" : layer.parent_path() / "image.erofs";
}

void SnapshotStore::need_image_disk(const std::vector<std::string>& lower) {
  std::lock_guard lock(image_disks_);
  fs::path disk = image_disk(lower);
  if (::access(disk.c_str(), F_OK) == 0) {
    return;
  }
  std::vector<fs::path> layers;
  std::transform(lower.begin(), lower.end(), std::back_inserter(layers),
                 [&](const std::string& name) { return layers_.link_folder() / name; });
  if (lower.front() != "0") {
    layers.push_back(layers_.link_folder() / "0");  // overlayfs wants two where none can be written
  }
  fs::path work = disk.parent_path() / "joined";
  make_folders(work, 0700);
  make_image_disk(disk, layers, work);
}

std::vector<std::string> SnapshotStore::lower_names(const std::string& id) const {
  std::array<char, 4096> text{};
  ssize_t size = ::readlink((folder(id) / "lower").c_str(), text.data(), text.size());
  if (size < 0) {
    throw Error(ErrorCode::kNotFound, missing(id));
  }
  std::vector<std::string> names;
  for (std::string_view rest(text.data(), static_cast<size_t>(size));;) {
    size_t colon = rest.find(':');
    names.emplace_back(rest.substr(0, colon));
    if (colon == std::string_view::npos) {
      return names;
    }
    rest.remove_prefix(colon + 1);
  }
}

std::vector<MountInstruction> SnapshotStore::mounts(const std::string& id, Lifetime lifetime) {
  std::vector<std::string> names = lower_names(id);
  if (fs::path scratch = folder(id) / kScratchDisk; ::access(scratch.c_str(), F_OK) == 0) {
    return {{.type = "erofs", .source = image_disk(names), .options = {}}, {.type = "ext4", .source = scratch, .options = {}}};
  }
  std::string lower = "lowerdir=";
  for (const std::string& name : names) {
    lower += (lower.ends_with('=') ? "" : ":") + (layers_.link_folder() / name).native();
  }
  fs::path path = folder(id);
  MountInstruction mount{.type = "overlay",
                         .source = "overlay",
                         .options = {lower, "upperdir=" + (path / "upper").native(), "workdir=" + (path / "work").native()}};
  if (has_index_option_) {
    // The index ties the folders to file handles of this very disk; a restored copy of it could not be mounted.
    mount.options.emplace_back("index=off");
  }
  if (lifetime == Lifetime::kThrowaway) {
    mount.options.emplace_back("volatile");
    // The mark of the mount before (a restarted container's): the kernel refuses to mount over it, as a crash may have come
    // between. What is thrown away may be damaged.
    remove_tree(open_file(path / "work", O_RDONLY | O_DIRECTORY).get(), "work");
  }
  size_t size = 0;
  for (const std::string& option : mount.options) {
    size += option.size() + 1;
  }
  if (size > kMaxMountData) {
    throw Error(ErrorCode::kNotSupported,
                fmt::format("mount options of {} bytes for {} layers don't fit into a page: a shorter path than '{}' is needed",
                            size, std::count(lower.begin(), lower.end(), ':') + 1, root_.parent_path().native()));
  }
  return {mount};
}

void SnapshotStore::remove(const std::string& id) { trash_->discard(folder(id)); }

std::vector<std::string> SnapshotStore::list() {
  std::vector<std::string> ids;
  for (const auto& entry : fs::directory_iterator(root_)) {
    ids.push_back(entry.path().filename().native());
  }
  return ids;
}

int64_t SnapshotStore::writable_size(const std::string& id) {
  if (fs::path scratch = folder(id) / kScratchDisk; ::access(scratch.c_str(), F_OK) == 0) {
    return allocated_size(scratch);
  }
  fs::path upper = folder(id) / "upper";
  if (::access(upper.c_str(), F_OK) != 0) {
    throw Error(ErrorCode::kNotFound, missing(id));
  }
  return size_of_tree(upper);
}

SnapshotStore::Folders SnapshotStore::folders(const std::string& id) {
  Folders result;
  for (const std::string& name : lower_names(id)) {
    std::error_code ignored;
    fs::path link = layers_.link_folder() / name;
    fs::path target = fs::read_symlink(link, ignored);
    fs::path full = ignored ? link : (layers_.link_folder() / target).lexically_normal();
    result.lower += (result.lower.empty() ? "" : ":") + full.native();
  }
  if (fs::path upper = folder(id) / "upper"; ::access(upper.c_str(), F_OK) == 0) {
    result.upper = upper.native();
    result.work = (folder(id) / "work").native();
  } else {
    result.disk = (folder(id) / kScratchDisk).native();
  }
  return result;
}

}  // namespace bulkhead::storage
