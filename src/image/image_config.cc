#include "image/image_config.h"

#include <fmt/format.h>

#include "oci/bounded_json.h"
#include "oci/manifest.h"
#include "storage/layer_store.h"
#include "support/error.h"

namespace bulkhead::image {
namespace {

using nlohmann::json;

[[noreturn]] void malformed(std::string_view reason) {
  throw Error(ErrorCode::kDataLoss, fmt::format("image configuration is malformed: {}", reason));
}

std::string text_of(const json& object, const char* key) {
  auto found = object.find(key);
  if (found == object.end() || found->is_null()) {
    return "";
  }
  if (!found->is_string()) {
    malformed(fmt::format("'{}' is not a string", key));
  }
  return found->get<std::string>();
}

std::vector<std::string> texts_of(const json& object, const char* key) {
  auto found = object.find(key);
  std::vector<std::string> result;
  if (found == object.end() || found->is_null()) {
    return result;
  }
  // Docker takes a lone string for a list of one.
  if (found->is_string()) {
    result.push_back(found->get<std::string>());
    return result;
  }
  if (!found->is_array()) {
    malformed(fmt::format("'{}' is not a list", key));
  }
  for (const json& item : *found) {
    if (!item.is_string()) {
      malformed(fmt::format("'{}' is not a list of strings", key));
    }
    result.push_back(item.get<std::string>());
  }
  return result;
}

/// The sorted keys of an object whose values mean nothing ({"80/tcp": {}}).
std::vector<std::string> keys_of(const json& object, const char* key) {
  auto found = object.find(key);
  std::vector<std::string> result;
  if (found == object.end() || found->is_null()) {
    return result;
  }
  if (!found->is_object()) {
    malformed(fmt::format("'{}' is not an object", key));
  }
  for (const auto& item : found->items()) {
    result.push_back(item.key());
  }
  return result;
}

ProcessDefaults read_defaults(const json& document) {
  ProcessDefaults defaults;
  auto found = document.find("config");
  if (found == document.end() || found->is_null()) {
    return defaults;
  }
  const json& config = *found;
  if (!config.is_object()) {
    malformed("'config' is not an object");
  }
  defaults.user = text_of(config, "User");
  defaults.env = texts_of(config, "Env");
  defaults.entrypoint = texts_of(config, "Entrypoint");
  defaults.cmd = texts_of(config, "Cmd");
  defaults.working_directory = text_of(config, "WorkingDir");
  defaults.stop_signal = text_of(config, "StopSignal");
  defaults.volumes = keys_of(config, "Volumes");
  defaults.exposed_ports = keys_of(config, "ExposedPorts");
  defaults.shell = texts_of(config, "Shell");
  defaults.on_build = texts_of(config, "OnBuild");
  if (auto labels = config.find("Labels"); labels != config.end() && labels->is_object()) {
    for (const auto& label : labels->items()) {
      if (!label.value().is_string()) {
        malformed("a label is not a string");
      }
      defaults.labels[label.key()] = label.value().get<std::string>();
    }
  }
  if (auto check = config.find("Healthcheck"); check != config.end() && check->is_object()) {
    defaults.healthcheck_json = check->dump();
  }
  return defaults;
}

std::vector<HistoryEntry> read_history(const json& document) {
  std::vector<HistoryEntry> history;
  auto found = document.find("history");
  if (found == document.end() || found->is_null()) {
    return history;
  }
  if (!found->is_array()) {
    malformed("'history' is not a list");
  }
  for (const json& item : *found) {
    if (!item.is_object()) {
      malformed("'history' is not a list of objects");
    }
    auto empty = item.find("empty_layer");
    history.push_back({.created = text_of(item, "created"),
                       .created_by = text_of(item, "created_by"),
                       .author = text_of(item, "author"),
                       .comment = text_of(item, "comment"),
                       .empty_layer = empty != item.end() && empty->is_boolean() && empty->get<bool>()});
  }
  return history;
}

void read_layers(const json& document, Image& image) {
  auto rootfs = document.find("rootfs");
  if (rootfs == document.end() || !rootfs->is_object()) {
    malformed("'rootfs' is missing");
  }
  if (text_of(*rootfs, "type") != "layers") {
    throw Error(ErrorCode::kNotSupported,
                fmt::format("image root file system of type '{}' is not supported", text_of(*rootfs, "type").substr(0, 64)));
  }
  image.diff_ids = texts_of(*rootfs, "diff_ids");
  if (image.diff_ids.size() > oci::kMaxLayers) {
    throw Error(ErrorCode::kNotSupported, fmt::format("max depth exceeded: the image has {} layers, the limit is {}",
                                                      image.diff_ids.size(), oci::kMaxLayers));
  }
  std::string parent;
  for (const std::string& diff_id : image.diff_ids) {
    if (!oci::Digest::try_parse(diff_id) || !diff_id.starts_with("sha256:")) {
      malformed("a diff id is no sha256 digest");
    }
    parent = storage::LayerStore::chain_id(parent, diff_id);
    image.chain_ids.push_back(parent);
  }
}

json keys_object(const std::vector<std::string>& keys) {
  json object = json::object();
  for (const std::string& key : keys) {
    object[key] = json::object();
  }
  return object;
}

json config_object(const ProcessDefaults& defaults) {
  json config = json::object();
  auto add = [&](const char* key, const auto& value) {
    if (!value.empty()) {
      config[key] = value;
    }
  };
  add("User", defaults.user);
  add("Env", defaults.env);
  add("Entrypoint", defaults.entrypoint);
  add("Cmd", defaults.cmd);
  add("WorkingDir", defaults.working_directory);
  add("StopSignal", defaults.stop_signal);
  add("Labels", defaults.labels);
  add("Shell", defaults.shell);
  add("OnBuild", defaults.on_build);
  if (!defaults.volumes.empty()) {
    config["Volumes"] = keys_object(defaults.volumes);
  }
  if (!defaults.exposed_ports.empty()) {
    config["ExposedPorts"] = keys_object(defaults.exposed_ports);
  }
  if (!defaults.healthcheck_json.empty()) {
    config["Healthcheck"] = json::parse(defaults.healthcheck_json);
  }
  return config;
}

}  // namespace

bool has_healthcheck(const ProcessDefaults& defaults) {
  json check = json::parse(defaults.healthcheck_json, nullptr, false);
  auto test = check.is_object() ? check.find("Test") : check.end();
  return test != check.end() && test->is_array() && !test->empty() && test->front() != "NONE";
}

Image parse_image_config(std::string_view bytes) {
  json document = oci::parse_bounded_json(bytes, "image configuration");
  if (!document.is_object()) {
    malformed("not an object");
  }
  Image image;
  image.os = text_of(document, "os");
  image.architecture = text_of(document, "architecture");
  image.variant = text_of(document, "variant");
  image.os_version = text_of(document, "os.version");
  image.os_features = texts_of(document, "os.features");
  if (image.os.empty()) {
    image.os = "linux";
  }
  if (image.os != "linux" && image.os != "windows") {
    throw Error(ErrorCode::kNotSupported,
                fmt::format("image operating system \"{}\" cannot be used on this platform", image.os.substr(0, 64)));
  }
  image.created = text_of(document, "created");
  image.author = text_of(document, "author");
  image.comment = text_of(document, "comment");
  image.docker_version = text_of(document, "docker_version");
  image.config = read_defaults(document);
  image.history = read_history(document);
  read_layers(document, image);
  if (!has_layers_here(image)) {
    image.chain_ids.clear();
  }
  return image;
}

std::string make_image_config(const Image& image) {
  json history = json::array();
  for (const HistoryEntry& entry : image.history) {
    json item = {{"created", entry.created}};
    if (!entry.created_by.empty()) {
      item["created_by"] = entry.created_by;
    }
    if (!entry.comment.empty()) {
      item["comment"] = entry.comment;
    }
    if (entry.empty_layer) {
      item["empty_layer"] = true;
    }
    history.push_back(std::move(item));
  }
  json document = {{"created", image.created},
                   {"architecture", image.architecture},
                   {"os", image.os},
                   {"config", config_object(image.config)},
                   {"rootfs", {{"type", "layers"}, {"diff_ids", image.diff_ids}}},
                   {"history", std::move(history)}};
  if (!image.variant.empty()) {
    document["variant"] = image.variant;
  }
  if (!image.comment.empty()) {
    document["comment"] = image.comment;
  }
  return document.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace bulkhead::image
