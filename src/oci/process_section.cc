// The `process` section: config.md#process and config.md#posix-process.
#include "oci/json_reader.h"
#include "oci/spec_sections.h"

namespace bulkhead::oci {

namespace {

using Json = nlohmann::json;

User read_user(const JsonReader& reader) {
  User user;
  reader.require("uid", user.uid);
  reader.require("gid", user.gid);
  reader.read("umask", user.umask);
  reader.read("additionalGids", user.additional_gids);
  reader.read("username", user.username);
  reader.read("additionalGroups", user.additional_groups);
  return user;
}

Capabilities read_capabilities(const JsonReader& reader) {
  Capabilities capabilities;
  reader.read("bounding", capabilities.bounding);
  reader.read("effective", capabilities.effective);
  reader.read("inheritable", capabilities.inheritable);
  reader.read("permitted", capabilities.permitted);
  reader.read("ambient", capabilities.ambient);
  return capabilities;
}

void check_process(const Process& process, const JsonReader& reader) {
  if (process.args.empty()) {
    throw Error(ErrorCode::kInvalidArgument, fmt::format("'{}' is missing", reader.path("args")));
  }
  if (!process.cwd.starts_with('/')) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("'{}' is not an absolute path: '{}'", reader.path("cwd"), process.cwd));
  }
  if (process.user.umask && *process.user.umask > 0777) {
    throw Error(ErrorCode::kInvalidArgument, fmt::format("'{}' is out of range", reader.path("user.umask")));
  }
}

}  // namespace

Process read_process(const JsonReader& reader) {
  Process process;
  reader.read("terminal", process.terminal);
  reader.object("consoleSize", [&](const JsonReader& size) {
    process.console_size.emplace();
    size.read("height", process.console_size->height);
    size.read("width", process.console_size->width);
  });
  reader.object("user", [&](const JsonReader& user) { process.user = read_user(user); });
  reader.require("args", process.args);
  reader.read("env", process.env);
  reader.read("cwd", process.cwd);
  reader.object("capabilities",
                [&](const JsonReader& capabilities) { process.capabilities = read_capabilities(capabilities); });
  reader.each("rlimits", [&](const JsonReader& rlimit) {
    Rlimit& limit = process.rlimits.emplace_back();
    rlimit.require("type", limit.type);
    rlimit.require("soft", limit.soft);
    rlimit.require("hard", limit.hard);
  });
  reader.read("noNewPrivileges", process.no_new_privileges);
  reader.read("apparmorProfile", process.apparmor_profile);
  reader.read("selinuxLabel", process.selinux_label);
  reader.read("oomScoreAdj", process.oom_score_adj);
  reader.refuse("scheduler");
  reader.refuse("ioPriority");
  reader.refuse("execCPUAffinity");
  check_process(process, reader);
  return process;
}

nlohmann::json write_process(const Process& process) {
  Json json = {{"terminal", process.terminal},
               {"args", process.args},
               {"env", process.env},
               {"cwd", process.cwd},
               {"noNewPrivileges", process.no_new_privileges}};
  if (process.console_size) {
    json["consoleSize"] = {{"height", process.console_size->height}, {"width", process.console_size->width}};
  }
  Json user = {{"uid", process.user.uid}, {"gid", process.user.gid}};
  put_if_set(user, "umask", process.user.umask);
  put_unless_empty(user, "additionalGids", process.user.additional_gids);
  put_unless_empty(user, "username", process.user.username);
  put_unless_empty(user, "additionalGroups", process.user.additional_groups);
  json["user"] = std::move(user);
  if (const auto& capabilities = process.capabilities) {
    json["capabilities"] = {{"bounding", capabilities->bounding},
                            {"effective", capabilities->effective},
                            {"inheritable", capabilities->inheritable},
                            {"permitted", capabilities->permitted},
                            {"ambient", capabilities->ambient}};
  }
  for (const Rlimit& limit : process.rlimits) {
    json["rlimits"].push_back({{"type", limit.type}, {"soft", limit.soft}, {"hard", limit.hard}});
  }
  put_unless_empty(json, "apparmorProfile", process.apparmor_profile);
  put_unless_empty(json, "selinuxLabel", process.selinux_label);
  put_if_set(json, "oomScoreAdj", process.oom_score_adj);
  return json;
}

}  // namespace bulkhead::oci
