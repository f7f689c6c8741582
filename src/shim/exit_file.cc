#include "shim/exit_file.h"

#include <fmt/format.h>

#include "shim/json_log.h"
#include "support/files.h"
#include "task/protocol.h"

namespace bulkhead::shim {

void write_exit_file(const std::filesystem::path& bundle, const sandbox::ExitStatus& status) {
  std::string error;
  append_json_text(error, status.error);
  std::string text = fmt::format("{{\"code\":{},\"time\":\"{}\",\"out_of_memory\":{},\"error\":\"{}\"}}\n", status.code,
                                 rfc3339(status.time), status.out_of_memory, error);
  // Not synced: after a crash of the host the container is gone with its exit status anyway.
  replace_file(bundle / task::kExitFile, text, 0600, Durability::kUnsynced);
}

}  // namespace bulkhead::shim
