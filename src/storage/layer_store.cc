#include "storage/layer_store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <condition_variable>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "database/database.h"
#include "oci/digest.h"
#include "storage/trash.h"
#include "support/error.h"
#include "support/files.h"
#include "support/log.h"
#include "support/random.h"
#include "support/scope_guard.h"

namespace bulkhead::storage {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kSchema =
    "CREATE TABLE IF NOT EXISTS layers ("
    "  id INTEGER PRIMARY KEY,"
    "  chain_id TEXT NOT NULL UNIQUE,"
    "  diff_id TEXT NOT NULL,"
    "  parent TEXT NOT NULL,"
    "  size INTEGER NOT NULL,"
    "  unsynced_boot TEXT NOT NULL,"
    "  refs INTEGER NOT NULL DEFAULT 0);"
    "CREATE INDEX IF NOT EXISTS layers_parent ON layers(parent);";

// A layer committed within this time of the last is synced together with it.
constexpr auto kSyncDelay = std::chrono::milliseconds(1500);

std::string boot_id() {
  std::string id = read_file("/proc/sys/kernel/random/boot_id", 64);
  while (!id.empty() && id.back() == '\n') {
    id.pop_back();
  }
  return id;
}

std::string base36(int64_t number) {
  constexpr std::string_view kDigits = "0123456789abcdefghijklmnopqrstuvwxyz";
  std::string text;
  do {
    text.insert(text.begin(), kDigits[static_cast<size_t>(number % 36)]);
    number /= 36;
  } while (number > 0);
  return text;
}

std::string hex_of(const std::string& chain_id) { return std::string(oci::Digest::parse(chain_id).hex()); }

void replace_link(const fs::path& link, const fs::path& target) {
  if (::symlink(target.c_str(), link.c_str()) == 0) {
    return;
  }
  if (errno != EEXIST || ::unlink(link.c_str()) != 0 || ::symlink(target.c_str(), link.c_str()) != 0) {
    throw system_error(fmt::format("create link '{}'", link.native()));
  }
}

/// ext4 puts each folder inside one with this flag into a block group of its own choice (chattr(1), "T"). Layers then don't
/// take the inodes that a removed layer just freed, which ext4 without a journal searches for slowly: seconds for a layer of
/// 5,000 files. Other file systems refuse the flag, and need none.
void spread_over_disk(const fs::path& folder) {
  UniqueFd fd = open_file(folder, O_RDONLY | O_DIRECTORY);
  int flags = 0;
  if (::ioctl(fd.get(), FS_IOC_GETFLAGS, &flags) == 0 && (flags & FS_TOPDIR_FL) == 0) {
    flags |= FS_TOPDIR_FL;
    static_cast<void>(::ioctl(fd.get(), FS_IOC_SETFLAGS, &flags));
  }
}

}  // namespace

struct NewLayer::State {
  fs::path path;  // "<root>/layers/.new-<random>"
  UniqueFd folder;
  Trash* trash = nullptr;
  bool committed = false;

  State() = default;
  State(const State&) = delete;
  State& operator=(const State&) = delete;
  ~State() {
    if (committed || path.empty()) {
      return;
    }
    try {
      trash->discard(path);
    } catch (const Error& error) {
      log::warn("drop an unfinished layer: {}", error.message());
    }
  }
};

NewLayer::NewLayer(std::unique_ptr<State> state) : state_(std::move(state)) {}
NewLayer::NewLayer(NewLayer&&) noexcept = default;
NewLayer::~NewLayer() = default;
int NewLayer::folder() const { return state_->folder.get(); }

struct LayerStore::State {
  State(fs::path root_path, Database& data)
      : root(std::move(root_path)),
        layers(root / "layers"),
        links(root / "l"),
        database(data),
        boot(boot_id()),
        trash(root / "trash" / "layers") {}

  void recover();
  void drop_unsynced();
  void drop_strangers();
  void collect();
  void wake(bool sync);
  void run();
  void sync();
  std::optional<LayerInfo> find(const std::string& chain_id);
  LayerPin pinned(LayerInfo info, State* self);

  fs::path root, layers, links;
  Database& database;
  std::string boot;
  Trash trash;

  // Where both are needed, the database's mutex is taken first: reference() and release() run inside callers' transactions.
  std::mutex mutex;
  std::condition_variable changed;
  std::map<std::string, int> pins;
  bool stop = false, collect_wanted = false, sync_wanted = false;
  std::chrono::steady_clock::time_point sync_at;
  std::thread thread;  // started when first needed
};

std::optional<LayerInfo> LayerStore::State::find(const std::string& chain_id) {
  std::optional<LayerInfo> found;
  database.run("SELECT diff_id, parent, size FROM layers WHERE chain_id = ?", {chain_id}, [&](const DatabaseRow& row) {
    found = LayerInfo{.chain_id = chain_id, .diff_id = row.text(0), .parent_chain_id = row.text(1), .size = row.integer(2)};
  });
  return found;
}

void LayerStore::State::recover() {
  // SECURITY: 0700: set-user-id programs of an image must not be within reach of this host's users.
  for (const fs::path& folder : {layers, links}) {
    make_folders(folder, 0700);
  }
  make_folders(links / "0", 0755);
  spread_over_disk(layers);
  database.script(std::string(kSchema));
  database.transaction([&] {
    drop_unsynced();
    // A layer without a folder, and everything on top of it.
    std::vector<std::string> missing;
    database.run("SELECT chain_id FROM layers", {}, [&](const DatabaseRow& row) {
      if (::access((layers / hex_of(row.text(0)) / "diff").c_str(), F_OK) != 0) {
        missing.push_back(row.text(0));
      }
    });
    for (const std::string& chain_id : missing) {
      database.run("DELETE FROM layers WHERE chain_id = ?", {chain_id});
    }
    do {
      database.run("DELETE FROM layers WHERE parent <> '' AND parent NOT IN (SELECT chain_id FROM layers)");
    } while (database.changes() > 0);
  });
  collect();
  drop_strangers();
  bool unsynced = false;
  database.run("SELECT 1 FROM layers WHERE unsynced_boot <> '' LIMIT 1", {}, [&](const DatabaseRow&) { unsynced = true; });
  if (unsynced) {
    wake(true);
  }
}

void LayerStore::State::drop_unsynced() {
  database.run("SELECT chain_id FROM layers WHERE unsynced_boot NOT IN ('', ?)", {boot}, [](const DatabaseRow& row) {
    log::warn("layer {} was not on disk yet when the machine went down: dropped", row.text(0));
  });
  database.run("DELETE FROM layers WHERE unsynced_boot NOT IN ('', ?)", {boot});
}

/// Folders and links that no row names: unfinished layers of a process that died, and layers deleted in its last moment.
void LayerStore::State::drop_strangers() {
  std::set<std::string> known_folders;
  std::map<std::string, std::string> known_links;
  database.run("SELECT id, chain_id FROM layers", {}, [&](const DatabaseRow& row) {
    std::string hex = hex_of(row.text(1));
    known_links[base36(row.integer(0))] = hex;
    known_folders.insert(std::move(hex));
  });
  for (const auto& entry : fs::directory_iterator(layers)) {
    if (!known_folders.contains(entry.path().filename().native())) {
      trash.discard(entry.path());
    }
  }
  for (const auto& entry : fs::directory_iterator(links)) {
    std::string name = entry.path().filename().native();
    if (name != "0" && !known_links.contains(name)) {
      ::unlink(entry.path().c_str());
    }
  }
  for (const auto& [name, hex] : known_links) {
    replace_link(links / name, fs::path("..") / "layers" / hex / "diff");
  }
}

void LayerStore::State::collect() {
  for (bool again = true; again;) {
    again = false;
    database.transaction([&] {
      std::lock_guard lock(mutex);
      std::vector<std::pair<int64_t, std::string>> unused;
      database.run("SELECT id, chain_id FROM layers WHERE refs <= 0 AND chain_id NOT IN (SELECT parent FROM layers)", {},
                   [&](const DatabaseRow& row) {
                     if (!pins.contains(row.text(1))) {
                       unused.emplace_back(row.integer(0), row.text(1));
                     }
                   });
      for (const auto& [id, chain_id] : unused) {
        database.run("DELETE FROM layers WHERE id = ?", {id});
        ::unlink((links / base36(id)).c_str());
        trash.discard(layers / hex_of(chain_id));
      }
      again = !unused.empty();
    });
  }
}

void LayerStore::State::wake(bool sync) {
  std::lock_guard lock(mutex);
  if (sync) {
    sync_wanted = true;
    sync_at = std::chrono::steady_clock::now() + kSyncDelay;
  } else {
    collect_wanted = true;
  }
  if (!thread.joinable()) {
    thread = std::thread([this] { run(); });
  }
  changed.notify_all();
}

void LayerStore::State::run() {
  std::unique_lock lock(mutex);
  while (!stop) {
    bool due = sync_wanted && std::chrono::steady_clock::now() >= sync_at;
    if (!collect_wanted && !due) {
      if (sync_wanted) {
        changed.wait_until(lock, sync_at);
      } else {
        changed.wait(lock);
      }
      continue;
    }
    bool collect_now = std::exchange(collect_wanted, false);
    if (due) {
      sync_wanted = false;
    }
    lock.unlock();
    try {
      if (collect_now) {
        collect();
      }
      if (due) {
        sync();
      }
    } catch (const Error& error) {
      log::warn("layer store '{}': {}", root.native(), error.message());
    }
    lock.lock();
  }
}

void LayerStore::State::sync() {
  std::vector<std::string> unsynced;
  database.run("SELECT chain_id FROM layers WHERE unsynced_boot <> ''", {},
               [&](const DatabaseRow& row) { unsynced.push_back(row.text(0)); });
  if (unsynced.empty()) {
    return;
  }
  UniqueFd folder = open_file(layers, O_RDONLY | O_DIRECTORY);
  if (::syncfs(folder.get()) != 0) {
    throw system_error(fmt::format("sync '{}'", layers.native()));
  }
  database.transaction([&] {
    for (const std::string& chain_id : unsynced) {
      database.run("UPDATE layers SET unsynced_boot = '' WHERE chain_id = ?", {chain_id});
    }
  });
}

LayerStore::LayerStore(const fs::path& root, Database& database) {
  if (root.native().find_first_of(":,\\") != std::string::npos) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("layer folder '{}': overlayfs can't take a path with ':', ',' or '\\'", root.native()));
  }
  state_ = std::make_unique<State>(fs::absolute(root), database);
  state_->recover();
}

LayerStore::~LayerStore() {
  if (!state_) {
    return;
  }
  bool unsynced = false;
  {
    std::lock_guard lock(state_->mutex);
    state_->stop = true;
    unsynced = state_->sync_wanted;
  }
  state_->changed.notify_all();
  if (state_->thread.joinable()) {
    state_->thread.join();
  }
  try {
    // An orderly end must not cost the layers pulled in the last second where the machine goes down next.
    if (unsynced) {
      state_->sync();
    }
  } catch (const std::exception& error) {
    log::warn("layer store '{}': {}", state_->root.native(), error.what());
  }
}

std::optional<LayerInfo> LayerStore::find(const std::string& chain_id) { return state_->find(chain_id); }

NewLayer LayerStore::begin() {
  auto layer = std::make_unique<NewLayer::State>();
  fs::path path = state_->layers / (".new-" + random_hex(8));
  fs::path diff = path / "diff";
  if (::mkdir(path.c_str(), 0700) != 0) {
    throw system_error(fmt::format("create folder '{}'", path.native()));
  }
  layer->path = path;
  layer->trash = &state_->trash;
  if (::mkdir(diff.c_str(), 0755) != 0 || ::chmod(diff.c_str(), 0755) != 0) {
    throw system_error(fmt::format("create folder '{}'", diff.native()));
  }
  layer->folder = open_file(diff, O_PATH | O_DIRECTORY | O_NOFOLLOW);
  return NewLayer(std::move(layer));
}

LayerPin LayerStore::commit(NewLayer layer, const std::string& diff_id, const std::string& parent_chain_id, int64_t size) {
  LayerInfo info{.chain_id = chain_id(parent_chain_id, diff_id),
                 .diff_id = oci::Digest::parse(diff_id).text(),
                 .parent_chain_id = parent_chain_id,
                 .size = size};
  fs::path target = state_->layers / hex_of(info.chain_id);
  LayerPin pin;
  state_->database.transaction([&] {
    if (std::optional<LayerInfo> existing = state_->find(info.chain_id)) {
      pin = state_->pinned(*existing, state_.get());
      return;
    }
    if (!parent_chain_id.empty() && !state_->find(parent_chain_id)) {
      throw Error(ErrorCode::kNotFound, fmt::format("layer {} does not exist: nothing can stand on it", parent_chain_id));
    }
    state_->trash.discard(target);  // left by a process that died between the rename and the row
    if (::rename(layer.state_->path.c_str(), target.c_str()) != 0) {
      throw system_error(fmt::format("create layer '{}'", target.native()));
    }
    layer.state_->path = target;
    state_->database.run("INSERT INTO layers (chain_id, diff_id, parent, size, unsynced_boot) VALUES (?, ?, ?, ?, ?)",
                         {info.chain_id, info.diff_id, info.parent_chain_id, info.size, state_->boot});
    replace_link(state_->links / short_name(info.chain_id), fs::path("..") / "layers" / hex_of(info.chain_id) / "diff");
    pin = state_->pinned(info, state_.get());
  });
  layer.state_->committed = layer.state_->path == target;
  state_->wake(true);
  return pin;
}

std::optional<LayerPin> LayerStore::pin(const std::string& chain_id) {
  std::optional<LayerPin> pin;
  state_->database.transaction([&] {
    if (std::optional<LayerInfo> info = state_->find(chain_id)) {
      pin = state_->pinned(*info, state_.get());
    }
  });
  return pin;
}

LayerPin LayerStore::State::pinned(LayerInfo info, State* self) {
  std::lock_guard lock(mutex);
  ++pins[info.chain_id];
  LayerPin pin;
  pin.store_ = self;
  pin.info_ = std::move(info);
  return pin;
}

void LayerStore::reference(const std::string& chain_id) {
  bool found = false;
  state_->database.run("UPDATE layers SET refs = refs + 1 WHERE chain_id = ? RETURNING id", {chain_id},
                       [&](const DatabaseRow&) { found = true; });
  if (!found) {
    throw Error(ErrorCode::kNotFound, fmt::format("layer {} does not exist", chain_id));
  }
}

void LayerStore::release(const std::string& chain_id) {
  state_->database.run("UPDATE layers SET refs = refs - 1 WHERE chain_id = ? AND refs > 0", {chain_id});
  state_->wake(false);
}

void LayerStore::collect() { state_->collect(); }

fs::path LayerStore::folder(const std::string& chain_id) const { return state_->layers / hex_of(chain_id) / "diff"; }

std::string LayerStore::short_name(const std::string& chain_id) {
  std::string name;
  state_->database.run("SELECT id FROM layers WHERE chain_id = ?", {chain_id},
                       [&](const DatabaseRow& row) { name = base36(row.integer(0)); });
  if (name.empty()) {
    throw Error(ErrorCode::kNotFound, fmt::format("layer {} does not exist", chain_id));
  }
  return name;
}

fs::path LayerStore::link_folder() const { return state_->links; }

std::string LayerStore::chain_id(const std::string& parent_chain_id, const std::string& diff_id) {
  return parent_chain_id.empty() ? diff_id : oci::Hasher::of(parent_chain_id + " " + diff_id).text();
}

LayerPin::LayerPin(LayerPin&& other) noexcept : store_(std::exchange(other.store_, nullptr)), info_(std::move(other.info_)) {}

LayerPin& LayerPin::operator=(LayerPin&& other) noexcept {
  if (this != &other) {
    drop();
    store_ = std::exchange(other.store_, nullptr);
    info_ = std::move(other.info_);
  }
  return *this;
}

LayerPin::~LayerPin() { drop(); }

void LayerPin::drop() noexcept {
  auto* store = static_cast<LayerStore::State*>(std::exchange(store_, nullptr));
  if (store == nullptr) {
    return;
  }
  std::lock_guard lock(store->mutex);
  auto found = store->pins.find(info_.chain_id);
  if (found != store->pins.end() && --found->second == 0) {
    store->pins.erase(found);
  }
}

}  // namespace bulkhead::storage
