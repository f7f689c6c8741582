#include "sandbox/vm/keeper/memory_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include "support/error.h"
#include "support/files.h"

namespace bulkhead::sandbox::vm {

UniqueFd make_memory_file(const char* name, uint64_t size) {
  UniqueFd file(::memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!file || ::ftruncate(file.get(), static_cast<off_t>(size)) != 0) {
    throw system_error(fmt::format("make a file in memory for {}", name));
  }
  return file;
}

void seal(const UniqueFd& file) {
  if (::fcntl(file.get(), F_ADD_SEALS, F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK | F_SEAL_SEAL) != 0) {
    throw system_error("seal a file in memory");
  }
}

UniqueFd reopen_for_reading(const UniqueFd& file) { return open_file(fmt::format("/proc/self/fd/{}", file.get()), O_RDONLY); }

}  // namespace bulkhead::sandbox::vm
