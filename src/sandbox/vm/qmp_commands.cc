#include "sandbox/vm/qmp_commands.h"

#include <fmt/format.h>
#include <time.h>

#include <array>
#include <nlohmann/json.hpp>
#include <string>

#include "support/error.h"

namespace bulkhead::sandbox::vm {
namespace {

using nlohmann::json;
using std::chrono::steady_clock;

void leave_memory_out(Qmp& qmp) {
  // Both sides must say so (QEMU docs/devel/migration: "x-ignore-shared").
  qmp.execute("migrate-set-capabilities",
              json{{"capabilities", json::array({json{{"capability", "x-ignore-shared"}, {"state", true}}})}});
}

std::string status_of(const json& answer) {
  auto found = answer.find("status");
  return found != answer.end() && found->is_string() ? found->get<std::string>() : std::string();
}

void pause_half_a_millisecond() {
  timespec time{.tv_sec = 0, .tv_nsec = 500'000};
  ::nanosleep(&time, nullptr);
}

/// Asks `query` until its status is another one than `busy`; the status then.
template <typename Busy>
std::string await_status(Qmp& qmp, const char* query, Busy busy, std::chrono::milliseconds timeout) {
  auto deadline = steady_clock::now() + timeout;
  for (;;) {
    std::string status = status_of(qmp.execute(query));
    if (!busy(status)) {
      return status;
    }
    if (steady_clock::now() > deadline) {
      throw Error(ErrorCode::kDeadlineExceeded, fmt::format("QEMU stays '{}' ({})", status, query));
    }
    pause_half_a_millisecond();
  }
}

/// The names and sets that qemu_arguments() gave.
struct DiskChange {
  const char *device, *node, *new_node, *discard;
  bool read_only;
  int old_set, new_set;
};

void change_disk(Qmp& qmp, const DiskChange& change, const UniqueFd& file) {
  std::string device = fmt::format("/machine/peripheral/{}", change.device);
  std::string path = fmt::format("/dev/fdset/{}", change.new_set);
  qmp.execute_all({{.name = "add-fd", .arguments = {{"fdset-id", change.new_set}}, .file = file.get()},
                   {.name = "blockdev-add",
                    .arguments = {{"driver", "raw"},
                                  {"node-name", change.new_node},
                                  {"read-only", change.read_only},
                                  {"discard", change.discard},
                                  {"file", {{"driver", "file"}, {"filename", path}, {"locking", "off"}}}}},
                   {.name = "qom-set", .arguments = {{"path", device}, {"property", "drive"}, {"value", change.new_node}}},
                   {.name = "blockdev-del", .arguments = {{"node-name", change.node}}},
                   {.name = "remove-fd", .arguments = {{"fdset-id", change.old_set}}}});
}

}  // namespace

void save_devices(Qmp& qmp, int file, std::chrono::milliseconds timeout) {
  leave_memory_out(qmp);
  qmp.execute_with_fd("getfd", json{{"fdname", "state"}}, file);
  qmp.execute("migrate", json{{"uri", "fd:state"}});
  auto busy = [](const std::string& status) { return status != "completed" && status != "failed" && status != "cancelled"; };
  if (std::string status = await_status(qmp, "query-migrate", busy, timeout); status != "completed") {
    throw Error(ErrorCode::kInternal, fmt::format("QEMU can't save the machine: {}", status));
  }
}

void restore_devices(Qmp& qmp, int file, std::chrono::milliseconds timeout) {
  leave_memory_out(qmp);
  // QEMU would tell the network that a machine has moved, by the MAC address that the template had.
  qmp.execute("migrate-set-parameters", json{{"announce-rounds", 0}});
  qmp.execute_with_fd("getfd", json{{"fdname", "state"}}, file);
  qmp.execute("migrate-incoming", json{{"uri", "fd:state"}});
  await_status(
      qmp, "query-status", [](const std::string& status) { return status == "inmigrate"; }, timeout);
  qmp.execute("cont");
}

void change_image(Qmp& qmp, const UniqueFd& image) {
  change_disk(qmp,
              {.device = "disk0",
               .node = "image",
               .new_node = "new-image",
               .discard = "ignore",
               .read_only = true,
               .old_set = 1,
               .new_set = 11},
              image);
}

void change_scratch(Qmp& qmp, const UniqueFd& scratch) {
  change_disk(qmp,
              {.device = "disk1",
               .node = "scratch",
               .new_node = "new-scratch",
               .discard = "unmap",
               .read_only = false,
               .old_set = 2,
               .new_set = 12},
              scratch);
}

}  // namespace bulkhead::sandbox::vm
