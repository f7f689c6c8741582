#include <fcntl.h>
#include <linux/seccomp.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "runner/child.h"

namespace bulkhead::runner {

namespace {

#ifndef SYS_faccessat2
#define SYS_faccessat2 439
#endif

// As the process's own user, inside its own root: what exists and may be executed there.
const char* find_command(const Child& child) {
  int error = ENOENT;
  uint32_t index = 0, at = 0;
  const ProcessPlan& process = child.plan.process;
  const char* const* next = process.shared ? process.shared->candidates() : process.candidates.data();
  for (; *next != nullptr; ++next) {
    const char* candidate = *next;
    struct stat status {};
    int found = ::stat(candidate, &status) == 0 ? 0 : errno;
    if (found == 0 && S_ISDIR(status.st_mode)) {
      found = EISDIR;
    }
    if (found == 0 && ::syscall(SYS_faccessat2, AT_FDCWD, candidate, X_OK, AT_EACCESS) != 0) {
      found = errno;
    }
    if (found == 0) {
      return candidate;
    }
    if (error == ENOENT && found != ENOTDIR) {
      error = found;
      at = index;
    }
    ++index;
  }
  fail(child, Step::kLookup, at, error);
}

void load_seccomp(const Child& child) {
  const ProcessPlan& process = child.plan.process;
  if (!process.seccomp) {
    return;
  }
  sock_fprog program{static_cast<unsigned short>(process.seccomp->size()), const_cast<sock_filter*>(process.seccomp->data())};
  check(child, ::syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, process.seccomp_flags, &program), Step::kSeccomp);
}

}  // namespace

void execute(Child& child) {
  const ProcessPlan& process = child.plan.process;
  const char* command = find_command(child);
  load_seccomp(child);
  // From here the filter judges this code too: it needs execve, and sendmsg and exit_group to tell of a failure.
  const char* const* argv = process.shared ? process.shared->argv() : process.argv.data();
  const char* const* environment = process.shared ? process.shared->environment() : process.environment.data();
  ::execve(command, const_cast<char* const*>(argv), const_cast<char* const*>(environment));
  fail(child, Step::kExecute);
}

}  // namespace bulkhead::runner
