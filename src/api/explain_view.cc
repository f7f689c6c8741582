#include "api/explain_view.h"

#include <nlohmann/json.hpp>
#include <string>

#include "facts/capability_names.h"
#include "facts/facts.pb.h"
#include "facts/reach.h"

namespace bulkhead::api {
namespace {
using nlohmann::json;

std::string role_name(facts::Role role) {
  switch (role) {
    case facts::ROLE_INIT: return "init";
    case facts::ROLE_EXEC: return "exec";
    case facts::ROLE_STRANGER: return "stranger";
    case facts::ROLE_SHIM: return "shim";
    case facts::ROLE_MACHINE: return "qemu";
    case facts::ROLE_AGENT: return "agent";
    default: return "other";
  }
}

std::string kind_name(facts::PathKind kind) {
  switch (kind) {
    case facts::PATH_HOST: return "host";
    case facts::PATH_MASK: return "mask";
    case facts::PATH_MEMORY: return "memory";
    case facts::PATH_ROOT: return "root";
    default: return "kernel";
  }
}

json standing_view(facts::Standing standing) {
  switch (standing) {
    case facts::STANDING_GIVEN: return "given";
    case facts::STANDING_ADDED: return "added";
    default: return nullptr;
  }
}

json kernel_view(const facts::Kernel& kernel) {
  return {{"Release", kernel.release()},
          {"BootId", kernel.boot_id()},
          {"Machine", kernel.machine()},
          {"HostName", kernel.host_name()}};
}

json reach_view(const facts::FilterChain& chain) {
  json list = json::array();
  for (const facts::Reach& reach : chain.reach()) {
    list.push_back({{"Abi", reach.abi()},
                    {"Known", reach.known()},
                    {"Reachable", reach.open() + reach.conditional()},
                    {"WithSomeArguments", reach.conditional()}});
  }
  return list;
}

json seccomp_view(const facts::Process& process, const facts::Wall& wall) {
  json view = {{"Mode", process.seccomp_mode() == 0   ? "none"
                        : process.seccomp_mode() == 1 ? "strict"
                                                      : "filter"},
               {"Filters", process.seccomp_filters()},
               {"Instructions", nullptr},
               {"SystemCalls", nullptr}};
  auto index = static_cast<int>(process.filter_chain()) - 1;
  if (process.seccomp_mode() == 0) {
    facts::FilterChain open;
    facts::fill_open_reach(wall.kernel().machine(), open);
    view["SystemCalls"] = open.reach().empty() ? json(nullptr) : reach_view(open);
  } else if (index >= 0 && index < wall.chains_size() && wall.chains(index).reach_size() > 0) {
    view["Instructions"] = wall.chains(index).instructions();
    view["SystemCalls"] = reach_view(wall.chains(index));
  }
  return view;
}

json process_view(const facts::Process& process, const facts::Wall& wall) {
  json namespaces = json::object();
  for (const facts::Namespace& each : process.namespaces()) {
    namespaces[each.kind()] = {{"Inode", each.inode()}, {"Outer", each.outer()}};
  }
  return {{"Pid", process.pid()},
          {"Parent", process.parent()},
          {"Role", role_name(process.role())},
          {"ExecId", process.exec_id()},
          {"Command", process.command()},
          {"User", process.user()},
          {"Group", process.group()},
          {"Capabilities",
           {{"Effective", facts::capability_names(process.effective())},
            {"Permitted", facts::capability_names(process.permitted())},
            {"Inheritable", facts::capability_names(process.inheritable())},
            {"Bounding", facts::capability_names(process.bounding())},
            {"Ambient", facts::capability_names(process.ambient())}}},
          {"NoNewPrivileges", process.no_new_privileges()},
          {"Seccomp", seccomp_view(process, wall)},
          {"Namespaces", namespaces},
          {"Memory", process.memory()},
          {"ProcessorTime", process.processor_time()}};
}

template <typename List, typename View>
json list_view(const List& list, View view) {
  json out = json::array();
  for (const auto& each : list) {
    out.push_back(view(each));
  }
  return out;
}

json limit_view(const facts::Limit& limit) {
  return {{"Name", limit.name()}, {"Number", limit.number()}, {"Text", limit.text()}, {"File", limit.file()}};
}

json path_view(const facts::VisiblePath& path) {
  return {{"Kind", kind_name(path.kind())}, {"Inside", path.inside()},
          {"Source", path.source()},        {"Type", path.type()},
          {"ReadOnly", path.read_only()},   {"Standing", standing_view(path.standing())}};
}

/// What is gone is no path any more: a difference tells it.
json paths_view(const facts::Wall& wall) {
  json list = json::array();
  for (const facts::VisiblePath& path : wall.paths()) {
    if (path.standing() != facts::STANDING_GONE) {
      list.push_back(path_view(path));
    }
  }
  return list;
}

json device_view(const facts::Device& device) {
  return {{"Path", device.path()},
          {"Kind", device.kind()},
          {"Major", device.major()},
          {"Minor", device.minor()},
          {"Access", device.access()}};
}

json wall_view(const facts::Wall& wall) {
  json open_files = json::object();
  for (const facts::OpenFiles& files : wall.open_files()) {
    open_files[files.kind()] = files.count();
  }
  return {{"Processes", list_view(wall.processes(), [&](const auto& each) { return process_view(each, wall); })},
          {"MoreProcesses", wall.more_processes()},
          {"Limits", list_view(wall.limits(), limit_view)},
          {"Paths", paths_view(wall)},
          {"Devices", list_view(wall.devices(), device_view)},
          {"DeviceRules", wall.device_rules()},
          {"OpenFiles", open_files},
          {"NotMeasured", list_view(wall.gaps(), [](const facts::Gap& gap) {
             return json{{"What", gap.what()}, {"Why", gap.why()}};
           })}};
}

json neighbours_view(const std::vector<engine::Neighbour>& neighbours) {
  return list_view(neighbours, [](const engine::Neighbour& each) {
    return json{{"Id", each.id}, {"Name", "/" + each.name}, {"Tenant", each.tenant}};
  });
}

/// What the wall itself runs: on the host, and inside.
json system_view(const engine::ExplainedContainer& explained, const facts::Wall& wall, const facts::Wall& container) {
  json list = json::array();
  const auto add = [&](const facts::Process& process, const facts::Wall& of, const char* where, const char* name) {
    json view = process_view(process, of);
    list.push_back({{"Name", name},
                    {"Where", where},
                    {"Pid", process.pid()},
                    {"Command", view["Command"]},
                    {"Memory", view["Memory"]},
                    {"ProcessorTime", view["ProcessorTime"]}});
  };
  for (const facts::Process& process : wall.system()) {
    add(process, wall, "host", "shim");
  }
  if (explained.record.own_kernel) {
    for (const facts::Process& process : wall.processes()) {
      if (process.role() == facts::ROLE_MACHINE) {
        add(process, wall, "host", "qemu");
      }
    }
    for (const facts::Process& process : container.system()) {
      add(process, container, "guest", "agent");
    }
  }
  if (explained.record.host_config.init.value_or(false) && container.processes_size() > 0) {
    add(container.processes(0), container, explained.record.own_kernel ? "guest" : "container", "init");
  }
  return list;
}

json container_view(const engine::ExplainedContainer& explained, const facts::Kernel& host) {
  const engine::Container& record = explained.record;
  json view = {{"Id", record.id},
               {"Name", "/" + record.name},
               {"Image", record.config.image},
               {"Isolation", record.host_config.isolation},
               {"Status", engine::name(record.shown_status())},
               {"Tenant", record.policy ? record.policy->decision.identity.tenant : ""},
               {"OnSameKernel", neighbours_view(explained.on_same_kernel)},
               {"Error", explained.failure}};
  view["NamespacesShared"] = json::object();
  for (const auto& [kind, neighbours] : explained.namespaces_shared) {
    view["NamespacesShared"][kind] = neighbours_view(neighbours);
  }
  view["Differences"] = list_view(explained.differences, [](const engine::Difference& each) {
    return json{{"What", each.what}, {"Asked", each.asked}, {"InForce", each.in_force}, {"Weaker", each.weaker}};
  });
  if (!explained.wall) {
    return view;
  }
  const facts::Wall& wall = *explained.wall;
  const facts::Wall& container = record.own_kernel ? wall.inside() : wall;
  view["ToldBy"] = record.own_kernel ? "guest" : "host";
  view["Kernel"] = kernel_view(container.kernel());
  view["Kernel"]["IsHosts"] =
      container.kernel().boot_id().empty() ? json(nullptr) : json(container.kernel().boot_id() == host.boot_id());
  view["Wall"] = wall_view(container);
  view["Machine"] = nullptr;
  if (record.own_kernel) {
    view["Machine"] = wall_view(wall);
    view["Machine"]["Accelerator"] = wall.accelerator();
    view["Machine"]["AcceleratorHow"] = wall.accelerator_how();
  }
  view["SystemProcesses"] = system_view(explained, wall, container);
  return view;
}

}  // namespace

json explanation_view(const engine::Explanation& explanation) {
  json host = kernel_view(*explanation.host);
  return {{"Host", {{"Kernel", host}}}, {"Containers", list_view(explanation.containers, [&](const auto& each) {
                                           return container_view(each, *explanation.host);
                                         })}};
}

}  // namespace bulkhead::api
