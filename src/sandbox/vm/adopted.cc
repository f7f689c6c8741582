#include "sandbox/vm/adopted.h"

#include <fmt/format.h>
#include <poll.h>
#include <signal.h>

#include <exception>
#include <sstream>
#include <string>

#include "linux/pidfd.h"
#include "linux/process_stat.h"
#include "support/error.h"
#include "support/files.h"

namespace bulkhead::sandbox::vm {
namespace {

constexpr const char* kNote = "vm-adopted";

/// With the number it names one process, ever. Empty where it can't be told.
std::string start_time_of(pid_t pid) {
  constexpr size_t kStart = 22;
  auto stat = linux::ProcessStat::parse(read_file(fmt::format("/proc/{}/stat", pid)));
  return stat ? stat->field(kStart) : std::string();
}

}  // namespace

void note_adopted(const std::filesystem::path& state_folder, pid_t machine) {
  replace_file(state_folder / kNote, fmt::format("{} {}", machine, start_time_of(machine)), 0600, Durability::kUnsynced);
}

void kill_adopted(const std::filesystem::path& state_folder) noexcept {
  try {
    std::istringstream note(read_file(state_folder / kNote));
    pid_t pid = 0;
    std::string started;
    note >> pid >> started;
    if (pid <= 0) {
      return;
    }
    UniqueFd machine = linux::open_pidfd(pid);
    if (start_time_of(pid) != started) {
      return;  // another process by now
    }
    linux::send_signal(machine.get(), SIGKILL);
    constexpr int kPatience = 10'000;  // milliseconds
    pollfd ended{.fd = machine.get(), .events = POLLIN, .revents = 0};
    ::poll(&ended, 1, kPatience);
  } catch (const std::exception&) {  // there is no note, or the VM has ended
  }
}

}  // namespace bulkhead::sandbox::vm
