#include "agent/guest/emulator.h"

#include <fmt/format.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "agent/guest/modules.h"
#include "agent/protocol/protocol.h"
#include "support/error.h"
#include "support/files.h"

namespace bulkhead::agent {

void register_emulator() {
  const std::filesystem::path folder = std::filesystem::path("/") / kEmulatorFolder;
  if (::access(folder.c_str(), F_OK) != 0) {
    return;
  }
  load_module("binfmt_misc");
  // It stays mounted, out of everybody's reach: with the mount the registration would go.
  const char* place = "/binfmt";
  if (::mkdir(place, 0700) != 0 ||
      ::mount("binfmt_misc", place, "binfmt_misc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) != 0) {
    throw system_error("mount binfmt_misc");
  }
  write_existing(std::filesystem::path(place) / "register", read_file(folder / "register", 4096));
  // The kernel has it open (flag F).
  ::unlink((folder / "program").c_str());
}

}  // namespace bulkhead::agent
