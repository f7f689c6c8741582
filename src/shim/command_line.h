// The shim's arguments, as containerd passes them, and our own `-cache-folder` and `-log`.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

namespace bulkhead::shim {

struct CommandLine {
  std::string action;  // "start", "delete", "isolations" (prints what each can do here), or "" with `version`
  bool version = false;
  bool debug = false;
  std::string id;
  std::string name_space;
  std::filesystem::path bundle;        // the working folder where not given
  std::filesystem::path cache_folder;  // under the run folder where not given
  std::filesystem::path log;           // the serving shim's standard error; "" is <bundle>/log where that is a FIFO
};

/// Throws kInvalidArgument for what isn't known.
CommandLine parse_command_line(const std::vector<std::string>& arguments);

}  // namespace bulkhead::shim
