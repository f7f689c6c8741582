// `bulkhead kernel ls|add|rm`: the kernels that containers with hyperv isolation can boot.
#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "cli/json_fields.h"
#include "cli/options.h"
#include "cli/queries.h"
#include "cli/table.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "support/error.h"

namespace bulkhead::cli {
namespace {

using nlohmann::json;

int list_kernels(Api& api, Words words) {
  bool as_json = false;
  Options options("kernel ls", "[OPTIONS]", "Lists the kernels that guests can boot; the first that fits an image is taken.");
  options.flag("--json", as_json, "Print JSON");
  if (options.parse(std::move(words)) == Parsed::kHelpShown) {
    return 0;
  }
  options.require_arguments(0, 0);
  json list = api.get("/kernels");
  if (as_json) {
    fmt::print("{}\n", list.dump(4));
    return 0;
  }
  Table table({"NAME", "RELEASE", "CONFIGURATION", "DIGEST", "ADDED"});
  for (const json& kernel : list) {
    table.add({printable(text_at(kernel, "Name")), printable(text_at(kernel, "Release")),
               flag_at(kernel, "ConfigChecked") ? "checked" : "unknown", short_id(text_at(kernel, "Digest")),
               text_at(kernel, "Added").substr(0, 19)});
  }
  fmt::print("{}", table.text(output_width()));
  return 0;
}

int add_kernel(Api& api, Words words) {
  std::string config;
  Options options("kernel add", "[OPTIONS] NAME VMLINUX",
                  "Adds a kernel: an uncompressed vmlinux for x86-64, with its drivers built in.");
  options.value("--config", config, "The kernel's configuration, to check that what guests need is built in");
  if (options.parse(std::move(words)) == Parsed::kHelpShown) {
    return 0;
  }
  options.require_arguments(2, 2);
  json body = {{"Kernel", std::filesystem::absolute(options.arguments()[1]).lexically_normal().string()}};
  if (!config.empty()) {
    body["Config"] = std::filesystem::absolute(config).lexically_normal().string();
  }
  json added = api.post("/kernels", query_of({{"name", options.arguments()[0]}}), body);
  fmt::print("{} {}\n", printable(text_at(added, "Name")), printable(text_at(added, "Release")));
  return 0;
}

int remove_kernels(Api& api, Words words) {
  Options options("kernel rm", "NAME [NAME...]", "Removes kernels that no container was made for.");
  if (options.parse(std::move(words)) == Parsed::kHelpShown) {
    return 0;
  }
  options.require_arguments(1);
  return for_each_name(options.arguments(), "kernel", [&](const std::string& name) {
    api.remove("/kernels/" + escaped(name));
    fmt::print("{}\n", name);
  });
}

}  // namespace

int run_kernel(Api& api, Words words) {
  std::string verb = words.empty() ? "" : words.front();
  if (!words.empty()) {
    words.erase(words.begin());
  }
  if (verb == "ls" || verb == "list") {
    return list_kernels(api, std::move(words));
  }
  if (verb == "add") {
    return add_kernel(api, std::move(words));
  }
  if (verb == "rm" || verb == "remove") {
    return remove_kernels(api, std::move(words));
  }
  if (verb == "--help" || verb == "-h") {
    fmt::print("usage: bulkhead kernel ls | add NAME VMLINUX | rm NAME\n\nEach has --help.\n");
    return 0;
  }
  throw Error(ErrorCode::kInvalidArgument, fmt::format("'kernel {}': write 'bulkhead kernel ls', 'add' or 'rm'", verb));
}

}  // namespace bulkhead::cli
