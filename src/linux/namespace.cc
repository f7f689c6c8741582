#include "linux/namespace.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/nsfs.h>
#include <sched.h>
#include <sys/ioctl.h>

#include <array>
#include <cstdlib>
#include <exception>
#include <thread>
#include <utility>

#include "support/error.h"
#include "support/files.h"
#include "support/log.h"

#ifndef CLONE_NEWTIME
#define CLONE_NEWTIME 0x00000080
#endif

namespace bulkhead::linux {

uint64_t namespace_flag(std::string_view type) {
  static constexpr std::array<std::pair<std::string_view, uint64_t>, 8> kFlags{{
      {"pid", CLONE_NEWPID},
      {"network", CLONE_NEWNET},
      {"mount", CLONE_NEWNS},
      {"ipc", CLONE_NEWIPC},
      {"uts", CLONE_NEWUTS},
      {"user", CLONE_NEWUSER},
      {"cgroup", CLONE_NEWCGROUP},
      {"time", CLONE_NEWTIME},
  }};
  for (const auto& [name, flag] : kFlags) {
    if (name == type) {
      return flag;
    }
  }
  throw Error(ErrorCode::kInvalidArgument, fmt::format("'{}' is not a kind of namespace", type));
}

UniqueFd open_namespace(const std::filesystem::path& path, uint64_t flag) {
  UniqueFd fd = open_file(path, O_RDONLY);
  int kind = ::ioctl(fd.get(), NS_GET_NSTYPE);
  if (kind < 0 || static_cast<uint64_t>(kind) != flag) {
    throw Error(ErrorCode::kInvalidArgument, fmt::format("'{}' is not a namespace of the kind that is wanted", path.native()));
  }
  return fd;
}

namespace {

/// In a thread of its own, whose namespace is then another one for good.
void run_inside(int file, int kind, const char* what, const std::function<void()>& body) {
  std::exception_ptr failure;
  std::thread([&] {
    try {
      if (::setns(file, kind) != 0) {
        throw system_error(what);
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

}  // namespace

void run_in_network(int network_namespace, const std::function<void()>& body) {
  run_inside(network_namespace, CLONE_NEWNET, "enter a network namespace", body);
}

void set_hostname(int pidfd, const std::string& name) {
  run_inside(pidfd, CLONE_NEWUTS, "enter a container's UTS namespace", [&] {
    if (::sethostname(name.data(), name.size()) != 0) {
      throw system_error("set a container's hostname");
    }
  });
}

ScopedPidNamespace::ScopedPidNamespace(int fd) : own_(open_file("/proc/thread-self/ns/pid", O_RDONLY)) {
  if (::setns(fd, CLONE_NEWPID) != 0) {
    throw system_error("join a PID namespace");
  }
}

ScopedPidNamespace::~ScopedPidNamespace() {
  if (::setns(own_.get(), CLONE_NEWPID) != 0) {
    // SECURITY: every later child would be born inside the container's PID namespace. Going back to one's own can't fail by the
    // rules of setns(2); if it does, nothing that this process believes still holds.
    log::error("can't return to the own PID namespace");
    std::abort();
  }
}

}  // namespace bulkhead::linux
