#include "engine/container_records.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "database/database.h"
#include "support/error.h"

namespace bulkhead::engine {

using nlohmann::json;

namespace {

json optional_time(const std::optional<TimePoint>& time) { return time ? json(rfc3339(*time)) : json(nullptr); }

std::optional<TimePoint> read_time(const json& value) {
  return value.is_string() ? parse_rfc3339(value.get<std::string>()) : std::nullopt;
}

std::string definition_of(const Container& container) {
  json mounts = json::array();
  for (const MountView& mount : container.mounts) {
    mounts.push_back({mount.type, mount.source, mount.destination, mount.mode, mount.propagation, mount.read_write});
  }
  json value = {{"created", rfc3339(container.created)},
                {"path", container.path},
                {"args", container.args},
                {"config", to_json(container.config)},
                {"host_config", to_json(container.host_config)},
                {"image_id", container.image_id},
                {"chain_ids", container.chain_ids},
                {"own_kernel", container.own_kernel},
                {"accelerator", container.accelerator},
                {"mounts", mounts},
                {"log_path", container.log_path},
                {"hosts_path", container.hosts_path},
                {"hostname_path", container.hostname_path},
                {"resolv_conf_path", container.resolv_conf_path},
                {"lower", container.lower_folders},
                {"upper", container.upper_folder},
                {"disk", container.disk},
                {"work", container.work_folder}};
  if (container.policy) {
    value["policy"] = {{"request", policy::to_json(container.policy->request)},
                       {"decision", policy::to_json(container.policy->decision)},
                       {"mounts", container.policy->origins.mounts},
                       {"devices", container.policy->origins.devices}};
  }
  // Environment and labels need not be UTF-8.
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

void read_definition(const std::string& text, Container& container) {
  json value = json::parse(text);
  container.created = parse_rfc3339(value.at("created").get<std::string>()).value_or(TimePoint{});
  container.path = value.at("path");
  container.args = value.at("args").get<std::vector<std::string>>();
  container.config = parse_container_config(value.at("config"));
  container.host_config = parse_host_config(value.at("host_config"));
  container.image_id = value.at("image_id");
  container.chain_ids = value.at("chain_ids").get<std::vector<std::string>>();
  container.own_kernel = value.value("own_kernel", false);
  container.accelerator = value.value("accelerator", "");
  for (const json& mount : value.at("mounts")) {
    container.mounts.push_back({.type = mount[0],
                                .source = mount[1],
                                .destination = mount[2],
                                .mode = mount[3],
                                .propagation = mount[4],
                                .read_write = mount[5]});
  }
  container.log_path = value.at("log_path");
  container.hosts_path = value.at("hosts_path");
  container.hostname_path = value.at("hostname_path");
  container.resolv_conf_path = value.at("resolv_conf_path");
  container.lower_folders = value.at("lower");
  container.upper_folder = value.at("upper");
  container.disk = value.value("disk", "");
  container.work_folder = value.at("work");
  if (auto policy = value.find("policy"); policy != value.end()) {
    container.policy = PolicyRecord{.request = policy::request_of_json(policy->at("request")),
                                    .decision = policy::decision_of_json(policy->at("decision")),
                                    .origins = {.mounts = policy->value("mounts", std::map<std::string, std::string>()),
                                                .devices = policy->value("devices", std::map<std::string, std::string>())}};
  }
}

std::string state_of(const Container& container) {
  return json{{"status", static_cast<int>(container.status)},
              {"pid", container.pid},
              {"exit_code", container.exit_code},
              {"oom", container.out_of_memory},
              {"error", container.error},
              {"started", optional_time(container.started_at)},
              {"finished", optional_time(container.finished_at)},
              {"restarts", container.restart_count},
              {"stopped_by_user", container.stopped_by_user}}
      .dump(-1, ' ', false, json::error_handler_t::replace);
}

void read_state(const std::string& text, Container& container) {
  json value = json::parse(text);
  container.status = static_cast<Status>(value.at("status").get<int>());
  container.pid = value.at("pid");
  container.exit_code = value.at("exit_code");
  container.out_of_memory = value.at("oom");
  container.error = value.at("error");
  container.started_at = read_time(value.at("started"));
  container.finished_at = read_time(value.at("finished"));
  container.restart_count = value.at("restarts");
  container.stopped_by_user = value.at("stopped_by_user");
}

}  // namespace

ContainerRecords::ContainerRecords(Database& database) : database_(database) {
  database_.script(
      "CREATE TABLE IF NOT EXISTS containers ("
      "id TEXT PRIMARY KEY, name TEXT NOT NULL UNIQUE, definition TEXT NOT NULL, state TEXT NOT NULL) WITHOUT ROWID;");
}

void ContainerRecords::insert(const Container& container) {
  database_.run("INSERT INTO containers (id, name, definition, state) VALUES (?, ?, ?, ?)",
                {container.id, container.name, definition_of(container), state_of(container)});
}

void ContainerRecords::update_state(const Container& container) {
  database_.run("UPDATE containers SET state = ? WHERE id = ?", {state_of(container), container.id});
}

void ContainerRecords::rename(const std::string& id, const std::string& name) {
  database_.run("UPDATE containers SET name = ? WHERE id = ?", {name, id});
}

void ContainerRecords::erase(const std::string& id) { database_.run("DELETE FROM containers WHERE id = ?", {id}); }

std::string ContainerRecords::id_of_name(const std::string& name) {
  std::string id;
  database_.run("SELECT id FROM containers WHERE name = ?", {name}, [&](const DatabaseRow& row) { id = row.text(0); });
  return id;
}

std::vector<Container> ContainerRecords::load_all() {
  std::vector<Container> containers;
  database_.run("SELECT id, name, definition, state FROM containers", {}, [&](const DatabaseRow& row) {
    Container container;
    container.id = row.text(0);
    container.name = row.text(1);
    try {
      read_definition(row.text(2), container);
      read_state(row.text(3), container);
    } catch (const std::exception& error) {
      throw Error(ErrorCode::kDataLoss,
                  fmt::format("the record of container {} can't be read: {}", container.id, error.what()));
    }
    containers.push_back(std::move(container));
  });
  return containers;
}

}  // namespace bulkhead::engine
