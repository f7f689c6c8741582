#include "linux/mount_namespace.h"

#include <sched.h>
#include <sys/mount.h>

#include <exception>
#include <thread>

#include "support/error.h"

namespace bulkhead::linux {

void with_private_mounts(const std::function<void()>& body) {
  std::exception_ptr failure;
  std::thread([&] {
    try {
      if (::unshare(CLONE_FS | CLONE_NEWNS) != 0) {
        throw system_error("make a mount namespace");
      }
      if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
        throw system_error("make the mounts of a namespace private");
      }
      body();
    } catch (...) {
      failure = std::current_exception();
    }
  }).join();
  if (failure) {
    std::rethrow_exception(failure);
  }
}

}  // namespace bulkhead::linux
