// The `linux.seccomp` section: config-linux.md#seccomp.
#include "oci/json_reader.h"
#include "oci/spec_sections.h"

namespace bulkhead::oci {

namespace {

using Json = nlohmann::json;

SyscallRule read_rule(const JsonReader& reader) {
  SyscallRule rule;
  reader.require("names", rule.names);
  reader.require("action", rule.action);
  reader.read("errnoRet", rule.errno_ret);
  reader.each("args", [&](const JsonReader& argument) {
    SyscallArgument& parsed = rule.args.emplace_back();
    argument.require("index", parsed.index);
    argument.require("value", parsed.value);
    argument.read("valueTwo", parsed.value_two);
    argument.require("op", parsed.op);
    if (parsed.index > 5) {
      throw Error(ErrorCode::kInvalidArgument, fmt::format("'{}' is more than 5", argument.path("index")));
    }
  });
  return rule;
}

Json write_rule(const SyscallRule& rule) {
  Json json = {{"names", rule.names}, {"action", rule.action}};
  put_if_set(json, "errnoRet", rule.errno_ret);
  for (const SyscallArgument& argument : rule.args) {
    json["args"].push_back(
        {{"index", argument.index}, {"value", argument.value}, {"valueTwo", argument.value_two}, {"op", argument.op}});
  }
  return json;
}

}  // namespace

Seccomp read_seccomp(const JsonReader& reader) {
  Seccomp seccomp;
  reader.require("defaultAction", seccomp.default_action);
  reader.read("defaultErrnoRet", seccomp.default_errno_ret);
  reader.read("architectures", seccomp.architectures);
  reader.read("flags", seccomp.flags);
  reader.refuse("listenerPath", "seccomp notification needs a listener that this runtime doesn't pass on");
  reader.each("syscalls", [&](const JsonReader& rule) { seccomp.syscalls.push_back(read_rule(rule)); });
  return seccomp;
}

nlohmann::json write_seccomp(const Seccomp& seccomp) {
  Json json = {{"defaultAction", seccomp.default_action}};
  put_if_set(json, "defaultErrnoRet", seccomp.default_errno_ret);
  put_unless_empty(json, "architectures", seccomp.architectures);
  put_unless_empty(json, "flags", seccomp.flags);
  for (const SyscallRule& rule : seccomp.syscalls) {
    json["syscalls"].push_back(write_rule(rule));
  }
  return json;
}

}  // namespace bulkhead::oci
