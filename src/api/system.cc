// /_ping, /version, /info, /system/df.
#include <fmt/format.h>
#include <sys/sysinfo.h>
#include <sys/utsname.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "api/container_view.h"
#include "api/handlers.h"
#include "api/image_view.h"
#include "image/image_store.h"

namespace bulkhead::api {
namespace {
using nlohmann::json;

std::string go_architecture(std::string_view machine) {
  if (machine == "x86_64") {
    return "amd64";
  }
  return machine == "aarch64" ? "arm64" : std::string(machine);
}

/// Everything docker info asks about: what isn't there is null, not absent, or old clients print errors.
json plugins() {
  return {{"Volume", {"local"}},
          {"Network", {"bridge", "host", "null"}},
          {"Authorization", nullptr},
          {"Log", {"json-file", "none"}}};
}

json registry_config(const engine::EngineInfo& info) {
  json insecure = {"::1/128", "127.0.0.0/8"};
  json indexes = {{"docker.io", {{"Name", "docker.io"}, {"Mirrors", json::array()}, {"Secure", true}, {"Official", true}}}};
  for (const std::string& registry : info.insecure_registries) {
    if (registry.find('/') != std::string::npos) {
      insecure.push_back(registry);
    } else {
      indexes[registry] = {{"Name", registry}, {"Mirrors", json::array()}, {"Secure", false}, {"Official", false}};
    }
  }
  return {{"AllowNondistributableArtifactsCIDRs", nullptr},
          {"AllowNondistributableArtifactsHostnames", nullptr},
          {"InsecureRegistryCIDRs", insecure},
          {"IndexConfigs", indexes},
          {"Mirrors", nullptr}};
}

json security_options(const engine::EngineInfo& info) {
  json options = info.security_options;
  // docker info has a line for the isolation only where the engine runs on Windows: of these it prints name and profile.
  options.push_back("name=isolation,profile=" + info.default_isolation);
  return options;
}

/// docker info prints them as they are.
json labels(const engine::EngineInfo& info) {
  json lines = {"org.bulkhead.isolation.default=" + info.default_isolation + " (" + info.default_isolation_because + ")",
                "org.bulkhead.host.kind=" + info.host_kind + " (" + info.host_kind_because + ")"};
  for (const engine::IsolationInfo& wall : info.isolations) {
    std::string prefix = "org.bulkhead.isolation." + wall.mode;
    lines.push_back(prefix + "=" + (wall.available ? "available" : "not available: " + wall.reason));
    if (!wall.accelerator.empty()) {
      lines.push_back(prefix + ".accelerator=" + wall.accelerator + " (" + wall.accelerator_reason + ")");
    }
  }
  return lines;
}

void add_capabilities(json& answer) {
  for (const char* name : {"MemoryLimit", "SwapLimit", "CpuCfsPeriod", "CpuCfsQuota", "CPUShares", "CPUSet", "PidsLimit",
                           "IPv4Forwarding", "BridgeNfIptables", "BridgeNfIp6tables", "OomKillDisable"}) {
    answer[name] = true;
  }
  for (const char* name : {"KernelMemory", "KernelMemoryTCP", "ExperimentalBuild"}) {
    answer[name] = false;
  }
  for (const char* name : {"HttpProxy", "HttpsProxy", "NoProxy", "ProductLicense"}) {
    answer[name] = "";
  }
  for (const char* name : {"SystemStatus", "GenericResources", "DefaultAddressPools"}) {
    answer[name] = nullptr;
  }
}

void add_runtimes(json& answer) {
  json commit = {{"ID", "bulkhead-" BULKHEAD_VERSION}, {"Expected", "bulkhead-" BULKHEAD_VERSION}};
  answer["Runtimes"] = {{"bulkhead", {{"path", "containerd-shim-bulkhead-v2"}}}};
  answer["DefaultRuntime"] = "bulkhead";
  answer["ContainerdCommit"] = commit;
  answer["RuncCommit"] = commit;
  answer["InitCommit"] = {{"ID", ""}, {"Expected", ""}};
  answer["InitBinary"] = "docker-init";
  answer["Swarm"] = {{"NodeID", ""}, {"NodeAddr", ""},           {"LocalNodeState", "inactive"}, {"ControlAvailable", false},
                     {"Error", ""},  {"RemoteManagers", nullptr}};
}

int64_t open_files() {
  std::error_code error;
  return std::distance(std::filesystem::directory_iterator("/proc/self/fd", error), std::filesystem::directory_iterator{});
}

}  // namespace

void system_ping(Request& request) {
  http::Headers& headers = request.exchange.response_headers();
  headers.add("Cache-Control", "no-cache, no-store, must-revalidate");
  headers.add("Pragma", "no-cache");
  headers.add("Swarm", "inactive");
  bool is_head = request.exchange.head().method == "HEAD";
  request.exchange.answer(200, "text/plain; charset=utf-8", is_head ? "" : "OK");
}

void system_version(Request& request) {
  utsname names{};
  ::uname(&names);
  std::string newest = fmt::format("1.{}", kNewestMinor);
  std::string oldest = fmt::format("1.{}", kOldestMinor);
  std::string architecture = go_architecture(names.machine);
  json details = {{"ApiVersion", newest},
                  {"MinAPIVersion", oldest},
                  {"Os", "linux"},
                  {"Arch", architecture},
                  {"KernelVersion", names.release},
                  {"Experimental", "false"},
                  {"GitCommit", ""},
                  {"GoVersion", ""},
                  {"BuildTime", ""}};
  answer_json(request, 200,
              {{"Platform", {{"Name", "Bulkhead"}}},
               {"Components", {{{"Name", "Engine"}, {"Version", BULKHEAD_VERSION}, {"Details", details}}}},
               {"Version", BULKHEAD_VERSION},
               {"ApiVersion", newest},
               {"MinAPIVersion", oldest},
               {"GitCommit", ""},
               {"GoVersion", ""},
               {"Os", "linux"},
               {"Arch", architecture},
               {"KernelVersion", names.release},
               {"BuildTime", ""}});
}

void system_info(Request& request) {
  engine::EngineInfo info = request.engine.info();
  json answer = {{"ID", info.id},
                 {"Containers", info.containers},
                 {"ContainersRunning", info.running},
                 {"ContainersPaused", info.paused},
                 {"ContainersStopped", info.stopped},
                 {"Images", info.images},
                 {"Driver", "overlay2"},
                 {"DriverStatus", json::array()},
                 {"Plugins", plugins()},
                 {"Debug", false},
                 {"NFd", open_files()},
                 {"NGoroutines", 0},
                 {"SystemTime", rfc3339(now())},
                 {"LoggingDriver", "json-file"},
                 {"CgroupDriver", info.cgroup_driver},
                 {"CgroupVersion", info.cgroup_version},
                 {"NEventsListener", 0},
                 {"KernelVersion", info.kernel_version},
                 {"OperatingSystem", info.operating_system},
                 {"OSVersion", info.os_version},
                 {"OSType", "linux"},
                 {"Architecture", info.architecture},
                 {"IndexServerAddress", "https://index.docker.io/v1/"},
                 {"RegistryConfig", registry_config(info)},
                 {"NCPU", info.cpus},
                 {"MemTotal", info.memory},
                 {"DockerRootDir", info.root.native()},
                 {"Name", info.name},
                 {"Labels", labels(info)},
                 {"ServerVersion", BULKHEAD_VERSION},
                 {"LiveRestoreEnabled", true},
                 {"Isolation", info.default_isolation},
                 {"SecurityOptions", security_options(info)},
                 {"CDISpecDirs", json::array()},
                 {"Warnings", info.warnings}};
  add_capabilities(answer);
  add_runtimes(answer);
  answer_json(request, 200, answer);
}

void system_disk_usage(Request& request) {
  std::vector<image::Image> images = request.engine.images().list();
  std::vector<engine::Container> containers = request.engine.list();
  json image_list = json::array();
  int64_t layers_size = 0;
  std::set<std::string> counted;
  for (const image::Image& image : images) {
    for (const auto& [chain_id, size] : layer_sizes(image)) {
      layers_size += counted.insert(chain_id).second ? size : 0;
    }
    json summary = image_summary(image, request.minor);
    summary["SharedSize"] = 0;
    summary["Containers"] = std::count_if(containers.begin(), containers.end(),
                                          [&](const engine::Container& container) { return container.image_id == image.id; });
    image_list.push_back(std::move(summary));
  }
  json container_list = json::array();
  for (const engine::Container& container : containers) {
    json summary = container_summary(container, now());
    add_sizes(summary, container, images);
    container_list.push_back(std::move(summary));
  }
  answer_json(request, 200,
              {{"LayersSize", layers_size},
               {"Images", image_list},
               {"Containers", container_list},
               {"Volumes", json::array()},
               {"BuildCache", json::array()},
               {"BuilderSize", 0}});
}

}  // namespace bulkhead::api
