#include "facts/kernel.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/magic.h>
#include <sched.h>
#include <sys/statfs.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <exception>
#include <thread>

#include "facts/facts.pb.h"
#include "facts/local_files.h"
#include "linux/namespace.h"
#include "support/error.h"
#include "support/files.h"

namespace bulkhead::facts {
namespace {

constexpr const char* kBootId = "proc/sys/kernel/random/boot_id";

void fill_names(Kernel& kernel) {
  utsname names{};
  ::uname(&names);
  kernel.set_release(names.release);
  kernel.set_machine(names.machine);
  kernel.set_host_name(names.nodename);
}

std::string trimmed(const std::string& text) { return text.substr(0, text.find('\n')); }

void ask_in_uts_namespace(pid_t pid, Kernel& kernel) {
  UniqueFd other = linux::open_namespace(fmt::format("/proc/{}/ns/uts", pid), linux::namespace_flag("uts"));
  std::exception_ptr failure;
  std::thread([&] {
    try {
      if (::setns(other.get(), CLONE_NEWUTS) != 0) {
        throw system_error("enter the container's UTS namespace");
      }
      fill_names(kernel);
    } catch (...) {
      failure = std::current_exception();
    }
  }).join();
  if (failure) {
    std::rethrow_exception(failure);
  }
}

}  // namespace

void fill_own_kernel(Kernel& kernel) {
  fill_names(kernel);
  kernel.set_boot_id(trimmed(read_file("/proc/sys/kernel/random/boot_id", 4096)));
}

void fill_kernel_seen_by(pid_t pid, const LocalFiles& files, Kernel& kernel) {
  ask_in_uts_namespace(pid, kernel);
  UniqueFd file = files.open(kBootId, O_RDONLY);
  struct statfs where {};
  if (!file) {
    throw Error(ErrorCode::kNotFound,
                "the container has no /proc/sys/kernel/random/boot_id, or what it has there is not the kernel's file");
  }
  // SECURITY: a file that the container has put there could say anything, or wait for ever.
  if (::fstatfs(file.get(), &where) != 0 || where.f_type != PROC_SUPER_MAGIC) {
    throw Error(ErrorCode::kDataLoss, "what the container has as /proc/sys/kernel/random/boot_id is not the kernel's file");
  }
  kernel.set_boot_id(trimmed(read_all(file.get(), 4096)));
}

}  // namespace bulkhead::facts
