#include "api/image_view.h"

#include <nlohmann/json.hpp>

#include "support/time.h"

namespace bulkhead::api {
namespace {
using nlohmann::json;

constexpr int kNoVirtualSize = 44;  // VirtualSize is gone since 1.44
constexpr int kNoNoneNames = 43;    // "<none>:<none>" is gone since 1.43

json list_or_null(const std::vector<std::string>& list) { return list.empty() ? json(nullptr) : json(list); }

json keys_or_null(const std::vector<std::string>& names) {
  json object = names.empty() ? json(nullptr) : json::object();
  for (const std::string& name : names) {
    object[name] = json::object();
  }
  return object;
}

json config(const image::ProcessDefaults& defaults) {
  json view = {{"Hostname", ""},
               {"Domainname", ""},
               {"User", defaults.user},
               {"AttachStdin", false},
               {"AttachStdout", false},
               {"AttachStderr", false},
               {"Tty", false},
               {"OpenStdin", false},
               {"StdinOnce", false},
               {"Env", list_or_null(defaults.env)},
               {"Cmd", list_or_null(defaults.cmd)},
               {"Image", ""},
               {"Volumes", keys_or_null(defaults.volumes)},
               {"WorkingDir", defaults.working_directory},
               {"Entrypoint", list_or_null(defaults.entrypoint)},
               {"OnBuild", list_or_null(defaults.on_build)},
               {"Labels", defaults.labels.empty() ? json(nullptr) : json(defaults.labels)}};
  if (!defaults.exposed_ports.empty()) {
    view["ExposedPorts"] = keys_or_null(defaults.exposed_ports);
  }
  if (!defaults.stop_signal.empty()) {
    view["StopSignal"] = defaults.stop_signal;
  }
  if (!defaults.shell.empty()) {
    view["Shell"] = defaults.shell;
  }
  if (json check = json::parse(defaults.healthcheck_json, nullptr, false); check.is_object()) {
    view["Healthcheck"] = std::move(check);
  }
  return view;
}

/// Repository and digest names of an image that has none, for clients that expect some.
json names(const std::vector<std::string>& given, int minor, const char* none) {
  return given.empty() && minor < kNoNoneNames ? json::array({none}) : json(given);
}

}  // namespace

int64_t created_seconds(const std::string& rfc3339_text) {
  auto time = parse_rfc3339(rfc3339_text);
  return time ? std::chrono::floor<std::chrono::seconds>(*time).time_since_epoch().count() : 0;
}

json image_summary(const image::Image& image, int minor) {
  json view = {{"Id", image.id},
               {"ParentId", ""},
               {"RepoTags", names(image.tags, minor, "<none>:<none>")},
               {"RepoDigests", names(image.digests, image.tags.empty() ? minor : kNoNoneNames, "<none>@<none>")},
               {"Created", created_seconds(image.created)},
               {"Size", image.size},
               {"SharedSize", -1},
               {"Containers", -1},
               {"Labels", image.config.labels.empty() ? json(nullptr) : json(image.config.labels)}};
  if (minor < kNoVirtualSize) {
    view["VirtualSize"] = image.size;
  }
  return view;
}

json image_details(const image::Image& image, int minor) {
  json view = {{"Id", image.id},
               {"RepoTags", image.tags},
               {"RepoDigests", image.digests},
               {"Parent", ""},
               {"Comment", image.comment},
               {"Created", image.created.empty() ? "0001-01-01T00:00:00Z" : image.created},
               {"DockerVersion", image.docker_version},
               {"Author", image.author},
               {"Config", config(image.config)},
               {"Architecture", image.architecture},
               {"Os", image.os},
               {"Size", image.size},
               {"GraphDriver", {{"Name", "overlay2"}, {"Data", nullptr}}},
               {"RootFS", {{"Type", "layers"}, {"Layers", image.diff_ids}}},
               {"Metadata", {{"LastTagTime", "0001-01-01T00:00:00Z"}}}};
  if (!image.variant.empty()) {
    view["Variant"] = image.variant;
  }
  if (!image.os_version.empty()) {
    view["OsVersion"] = image.os_version;
  }
  if (minor < kNoVirtualSize) {
    view["VirtualSize"] = image.size;
    view["Container"] = "";
  }
  return view;
}

json image_history(const image::Image& image) {
  json list = json::array();
  for (auto entry = image.history.rbegin(); entry != image.history.rend(); ++entry) {
    bool is_top = list.empty();
    list.push_back({{"Id", is_top ? image.id : "<missing>"},
                    {"Created", created_seconds(entry->created)},
                    {"CreatedBy", entry->created_by},
                    {"Tags", is_top ? list_or_null(image.tags) : json(nullptr)},
                    {"Size", entry->size},
                    {"Comment", entry->comment}});
  }
  return list;
}

std::vector<std::pair<std::string, int64_t>> layer_sizes(const image::Image& image) {
  std::vector<std::pair<std::string, int64_t>> sizes;
  for (const image::HistoryEntry& entry : image.history) {
    if (!entry.empty_layer && sizes.size() < image.chain_ids.size()) {
      sizes.emplace_back(image.chain_ids[sizes.size()], entry.size);
    }
  }
  return sizes;
}

}  // namespace bulkhead::api
