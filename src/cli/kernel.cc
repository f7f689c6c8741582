// `bulkhead kernel ls|add|rm`: the kernels that containers with hyperv isolation can boot.
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "cli/json_fields.h"
#include "cli/options.h"
#include "cli/queries.h"
#include "cli/table.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "kernels/catalogue.h"
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
  Table table({"NAME", "RELEASE", "CONFIGURATION", "HOST FOLDERS", "DIGEST", "ADDED"});
  for (const json& kernel : list) {
    table.add({printable(text_at(kernel, "Name")), printable(text_at(kernel, "Release")),
               flag_at(kernel, "ConfigChecked") ? "checked" : "unknown", flag_at(kernel, "HostFolders") ? "9p" : "none",
               short_id(text_at(kernel, "Digest")), text_at(kernel, "Added").substr(0, 19)});
  }
  fmt::print("{}", table.text(output_width()));
  return 0;
}

std::string absolute(const std::string& path) { return std::filesystem::absolute(path).lexically_normal().string(); }

void print_added(const std::string& name, const std::string& release, bool host_folders) {
  fmt::print("{} {}\n", printable(name), printable(release));
  if (!host_folders) {
    fmt::print(
        stderr,
        "This kernel has no 9p (CONFIG_NET_9P_VIRTIO, CONFIG_9P_FS): containers on it can't have bind mounts or volumes.\n");
  }
}

/// Into a folder of kernels, without an engine: for packages of Bulkhead that bring kernels along.
void add_into(const std::string& folder, const std::string& name, const kernels::KernelFiles& files) {
  kernels::Entry added = kernels::Catalogue(absolute(folder), {}).add(name, files);
  print_added(added.name, added.release, added.boot.shares != kernels::Shares::kNone);
}

int add_kernel(Api& api, Words words) {
  std::string config;
  std::string folder;
  std::vector<std::string> modules;
  Options options("kernel add", "[OPTIONS] NAME KERNEL",
                  "Adds a kernel for x86-64: a vmlinux or vmlinuz, or a Debian package that holds one with its modules.");
  options.value("--config", config, "The kernel's configuration, to check that it has what guests need");
  options.list("--modules", modules, "A folder of the kernel's modules (lib/modules/RELEASE); may be given more than once");
  options.value("--into", folder, "Make the entry in this folder of kernels, without an engine");
  if (options.parse(std::move(words)) == Parsed::kHelpShown) {
    return 0;
  }
  options.require_arguments(2, 2);
  const std::string& name = options.arguments()[0];
  std::string kernel = absolute(options.arguments()[1]);
  config = config.empty() ? config : absolute(config);
  std::transform(modules.begin(), modules.end(), modules.begin(), absolute);
  if (!folder.empty()) {
    add_into(folder, name, {.kernel = kernel, .config = config, .modules = {modules.begin(), modules.end()}});
    return 0;
  }
  json body = {{"Kernel", kernel}, {"Config", config}, {"Modules", modules}};
  json added = api.post("/kernels", query_of({{"name", name}}), body);
  print_added(text_at(added, "Name"), text_at(added, "Release"), flag_at(added, "HostFolders"));
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
    fmt::print("usage: bulkhead kernel ls | add NAME KERNEL | rm NAME\n\nEach has --help.\n");
    return 0;
  }
  throw Error(ErrorCode::kInvalidArgument, fmt::format("'kernel {}': write 'bulkhead kernel ls', 'add' or 'rm'", verb));
}

}  // namespace bulkhead::cli
