#include "shim/command_line.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <map>

#include "support/error.h"

namespace bulkhead::shim {
namespace {

/// SECURITY: ids become names of files and cgroups.
void check_id(const std::string& id) {
  auto allowed = [](unsigned char c) { return std::isalnum(c) != 0 || c == '_' || c == '.' || c == '-'; };
  if (id.empty() || id.size() > 128 || id.front() == '.' || !std::all_of(id.begin(), id.end(), allowed)) {
    throw Error(ErrorCode::kInvalidArgument, fmt::format("'{}' is no id of a container", id));
  }
}

}  // namespace

CommandLine parse_command_line(const std::vector<std::string>& arguments) {
  CommandLine line;
  std::string ignored;  // containerd's own addresses: what is needed of them is in the environment
  std::string bundle;
  std::string cache;
  std::string log;
  const std::map<std::string_view, std::string*> values{
      {"id", &line.id}, {"namespace", &line.name_space}, {"bundle", &bundle},          {"cache-folder", &cache},
      {"log", &log},    {"address", &ignored},           {"publish-binary", &ignored}, {"socket", &ignored}};
  for (size_t i = 0; i < arguments.size(); ++i) {
    std::string_view argument = arguments[i];
    if (!argument.starts_with('-')) {
      if (!line.action.empty() || (argument != "start" && argument != "delete" && argument != "isolations")) {
        throw Error(ErrorCode::kInvalidArgument,
                    fmt::format("unknown action '{}': it is 'start', 'delete' or 'isolations'", argument));
      }
      line.action = argument;
      continue;
    }
    argument.remove_prefix(argument.starts_with("--") ? 2 : 1);
    if (argument == "v" || argument == "version") {
      line.version = true;
      continue;
    }
    if (argument == "debug") {
      line.debug = true;
      continue;
    }
    size_t equals = argument.find('=');
    auto value = values.find(argument.substr(0, equals));
    if (value == values.end() || (equals == std::string_view::npos && i + 1 == arguments.size())) {
      throw Error(ErrorCode::kInvalidArgument, fmt::format("unknown or unfinished flag '{}'", arguments[i]));
    }
    *value->second = equals == std::string_view::npos ? arguments[++i] : std::string(argument.substr(equals + 1));
  }
  line.bundle = bundle;
  line.cache_folder = cache;
  line.log = log;
  if (!line.version) {
    if (line.action.empty()) {
      throw Error(ErrorCode::kInvalidArgument, "an action is needed: 'start' or 'delete'");
    }
    if (line.action != "isolations") {
      check_id(line.id);
    }
  }
  return line;
}

}  // namespace bulkhead::shim
