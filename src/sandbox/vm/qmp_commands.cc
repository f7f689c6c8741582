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

struct Disk {
  const char *device, *node, *discard;
  bool read_only;
  int set;
};

/// The names and sets that qemu_arguments() gave, and those that came after.
void change_disk(Qmp& qmp, const Disk& disk, const UniqueFd& file, unsigned before) {
  const auto node = [&](unsigned changes) { return changes == 0 ? disk.node : fmt::format("{}-{}", disk.node, changes); };
  const auto set = [&](unsigned changes) { return disk.set + 10 * static_cast<int>(changes); };
  std::string device = fmt::format("/machine/peripheral/{}", disk.device);
  std::string path = fmt::format("/dev/fdset/{}", set(before + 1));
  qmp.execute_all({{.name = "add-fd", .arguments = {{"fdset-id", set(before + 1)}}, .file = file.get()},
                   {.name = "blockdev-add",
                    .arguments = {{"driver", "raw"},
                                  {"node-name", node(before + 1)},
                                  {"read-only", disk.read_only},
                                  {"discard", disk.discard},
                                  {"file", {{"driver", "file"}, {"filename", path}, {"locking", "off"}}}}},
                   {.name = "qom-set", .arguments = {{"path", device}, {"property", "drive"}, {"value", node(before + 1)}}},
                   {.name = "blockdev-del", .arguments = {{"node-name", node(before)}}},
                   {.name = "remove-fd", .arguments = {{"fdset-id", set(before)}}}});
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

void change_image(Qmp& qmp, const UniqueFd& image, unsigned before) {
  change_disk(qmp, {.device = "disk0", .node = "image", .discard = "ignore", .read_only = true, .set = 1}, image, before);
}

void change_scratch(Qmp& qmp, const UniqueFd& scratch, unsigned before) {
  change_disk(qmp, {.device = "disk1", .node = "scratch", .discard = "unmap", .read_only = false, .set = 2}, scratch, before);
}

}  // namespace bulkhead::sandbox::vm
