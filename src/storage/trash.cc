#include "storage/trash.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <cstdio>

#include "support/error.h"
#include "support/files.h"
#include "support/log.h"
#include "support/random.h"
#include "support/remove_tree.h"

namespace bulkhead::storage {

Trash::Trash(const std::filesystem::path& folder) : folder_(folder) {
  make_folders(folder, 0700);
  fd_ = open_file(folder, O_RDONLY | O_DIRECTORY);
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    add(entry.path().filename().native());
  }
}

Trash::~Trash() {
  {
    std::lock_guard lock(mutex_);
    stop_ = true;
  }
  changed_.notify_all();
  if (thread_.joinable()) {
    thread_.join();
  }
}

void Trash::discard(const std::filesystem::path& path) {
  std::string name = random_hex(8);
  if (::renameat(AT_FDCWD, path.c_str(), fd_.get(), name.c_str()) != 0) {
    if (errno == ENOENT) {
      return;
    }
    throw system_error(fmt::format("remove '{}'", path.native()));
  }
  add(std::move(name));
}

void Trash::add(std::string name) {
  std::lock_guard lock(mutex_);
  queue_.push_back(std::move(name));
  if (!thread_.joinable()) {
    thread_ = std::thread([this] { run(); });
  }
  changed_.notify_all();
}

void Trash::run() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [this] { return stop_ || !queue_.empty(); });
    if (stop_) {
      return;
    }
    std::string name = std::move(queue_.back());
    queue_.pop_back();
    lock.unlock();
    try {
      remove_tree(fd_.get(), name, &stop_);
    } catch (const Error& error) {
      log::warn("empty the trash '{}': {}", folder_.native(), error.message());
    }
    lock.lock();
  }
}

}  // namespace bulkhead::storage
