// A request about a container's files, carried out by a thread in the container's root.
//
// Owned by whoever asked; the destructor breaks the work off and waits until the thread has left the system call that it is in.
#pragma once

#include <exception>
#include <thread>

#include "sandbox/sandbox.h"

namespace bulkhead::sandbox {

class ThreadFileWork final : public FileWork {
 public:
  /// `root`: the container's, O_PATH.
  ThreadFileWork(UniqueFd root, archive::FileRequest request, UniqueFd stream);
  ~ThreadFileWork() override;
  int descriptor() const override { return done_.get(); }
  archive::PathStat result() override;

 private:
  void run();

  UniqueFd root_;
  archive::FileRequest request_;
  UniqueFd stream_;
  UniqueFd done_;  // eventfd(2)
  archive::PathStat found_;
  std::exception_ptr failure_;
  std::thread thread_;  // the only user of found_ and failure_ until done_ is readable
};

}  // namespace bulkhead::sandbox
