// Deletes links in the background: the kernel takes milliseconds (it waits for readers of its tables) for which nobody has to
// wait. Deleted explicitly, because a process that entered a namespace from outside would keep it, and the container's address
// with it, alive.
//
// Thread-safe. One thread, in the network namespace of whoever made the object.
#pragma once

#include <condition_variable>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "linux/netlink.h"

namespace bulkhead::network {

class LinkReaper {
 public:
  LinkReaper();
  /// Waits until everything is deleted.
  ~LinkReaper();
  LinkReaper(const LinkReaper&) = delete;
  LinkReaper& operator=(const LinkReaper&) = delete;

  void remove_later(std::string link);
  /// A link of this name is about to be made again: once this returns, no deletion given before can hit it.
  void forget(const std::string& link);
  /// Blocks until all links given so far are gone.
  void drain();

 private:
  void work();

  linux::NetlinkSocket socket_;  // of the thread's alone
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::string> waiting_;
  std::vector<std::string> deleting_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace bulkhead::network
