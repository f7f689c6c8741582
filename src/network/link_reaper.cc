#include "network/link_reaper.h"

#include <linux/netlink.h>

#include <algorithm>
#include <utility>

#include "network/links.h"
#include "support/error.h"
#include "support/log.h"

namespace bulkhead::network {

LinkReaper::LinkReaper() : socket_(NETLINK_ROUTE), thread_([this] { work(); }) {}

LinkReaper::~LinkReaper() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_all();
  thread_.join();
}

void LinkReaper::remove_later(std::string link) {
  {
    std::lock_guard lock(mutex_);
    waiting_.push_back(std::move(link));
  }
  changed_.notify_all();
}

void LinkReaper::forget(const std::string& link) {
  std::unique_lock lock(mutex_);
  std::erase(waiting_, link);
  changed_.wait(lock, [&] { return std::find(deleting_.begin(), deleting_.end(), link) == deleting_.end(); });
}

void LinkReaper::drain() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return waiting_.empty() && deleting_.empty(); });
}

void LinkReaper::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    changed_.wait(lock, [&] { return stopping_ || !waiting_.empty(); });
    if (waiting_.empty()) {
      return;
    }
    deleting_ = std::exchange(waiting_, {});
    lock.unlock();
    try {
      delete_links(socket_, deleting_);  // written by this thread only
    } catch (const Error& error) {
      // Nobody waits for an answer; the next start's recovery finds what is left.
      log::warn("{}", error.message());
    }
    lock.lock();
    deleting_.clear();
    changed_.notify_all();
  }
}

}  // namespace bulkhead::network
