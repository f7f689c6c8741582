#include "engine/engine.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "engine/engine_state.h"
#include "support/error.h"
#include "support/files.h"
#include "support/log.h"
#include "support/random.h"

namespace bulkhead::engine {
namespace {

constexpr const char* kUsualPolicyFile = "/etc/bulkhead/policy.yaml";

/// FNV-1a of the root's path: the same root is the same instance, after every restart.
std::string instance_of(const std::filesystem::path& root) {
  uint64_t hash = 0xcbf29ce484222325;
  const std::string path = std::filesystem::weakly_canonical(root).native();  // named: a range-for would let a temporary go
  for (unsigned char byte : path) {
    hash = (hash ^ byte) * 0x100000001b3;
  }
  return fmt::format("{:06x}", hash & 0xffffff);
}

UniqueFd lock_root(const EngineOptions& options) {
  make_folders(options.root, 0711);
  make_folders(options.run_root / "bundles", 0711);
  make_folders(options.run_root / "cache", 0700);
  make_folders(options.root / "containers", 0711);
  UniqueFd lock = open_file(options.root / "lock", O_RDWR | O_CREAT, 0600);
  if (flock(lock.get(), LOCK_EX | LOCK_NB) != 0) {
    throw Error(ErrorCode::kConflict,
                fmt::format("another engine uses '{}': stop it, or give this one another --root", options.root.native()));
  }
  return lock;
}

std::string instance_id(const std::filesystem::path& root) {
  std::filesystem::path file = root / "engine-id";
  if (!std::filesystem::exists(file)) {
    replace_file(file, random_hex(16), 0600, Durability::kSynced);
  }
  return read_file(file, 256);
}

std::filesystem::path find_init(const std::filesystem::path& given) {
  if (!given.empty()) {
    return given;
  }
  for (const char* place : {"/usr/bin/tini-static", "/usr/libexec/docker/docker-init", "/usr/bin/docker-init",
                            "/usr/sbin/docker-init", "/usr/libexec/podman/catatonit", "/usr/bin/catatonit"}) {
    if (access(place, X_OK) == 0) {
      return place;
    }
  }
  return {};
}

EngineOptions complete(EngineOptions options) {
  options.root = std::filesystem::absolute(options.root).lexically_normal();
  options.run_root = std::filesystem::absolute(options.run_root).lexically_normal();
  options.init_binary = find_init(options.init_binary);
  return options;
}

/// As the shim finds it: what was set, or what lies beside itself.
kernels::BuiltIn guest_kernel(const EngineOptions& options) {
  auto set = options.vm_settings.find("kernel");
  if (set != options.vm_settings.end()) {
    return {.kernel = set->second, .emulated = {}};
  }
  std::filesystem::path folder = options.shim.parent_path();
  return {.kernel = folder / "bulkhead-vmlinux", .emulated = folder / "bulkhead-vmlinux-emulated"};
}

/// Kernels that came with Bulkhead lie beside the shim, where the shim looks for them too.
std::filesystem::path shipped_kernels(const EngineOptions& options) { return options.shim.parent_path() / "bulkhead-kernels"; }

AdmissionOptions admission_options(const EngineOptions& options) {
  bool is_named = !options.policy_file.empty();
  return {.policy_file = is_named ? options.policy_file : kUsualPolicyFile,
          .policy_kind = is_named ? PolicyFile::kNamed : PolicyFile::kUsual,
          .audit_log = options.root / "audit.log"};
}

std::string os_release(const std::string& key) {
  std::string text;
  try {
    text = read_file("/etc/os-release", 1UL << 20);
  } catch (const Error&) {
    return "";
  }
  size_t start = text.starts_with(key + "=") ? 0 : text.find("\n" + key + "=");
  if (start == std::string::npos) {
    return "";
  }
  start = text.find('=', start) + 1;
  std::string value = text.substr(start, text.find('\n', start) - start);
  if (value.size() >= 2 && value.front() == '"') {
    value = value.substr(1, value.size() - 2);
  }
  return value;
}

}  // namespace

void discard_folder(const std::filesystem::path& folder) {
  try {
    remove_folder(folder);
  } catch (const Error& error) {
    log::warn("{}", error.message());
  }
}

Engine::State::State(EngineOptions engine_options)
    : options(complete(std::move(engine_options))),
      instance(instance_of(options.root)),
      root_lock(lock_root(options)),
      database(options.root / "state.db"),
      layers(options.root, database),
      snapshots(options.root, layers),
      images({.root = options.root / "content", .insecure_registries = options.insecure_registries}, database, layers),
      networks({.run_root = options.run_root, .instance = instance, .bridge_subnet = options.bridge_subnet}, database),
      records(database),
      isolations(options.shim, options.run_root / "cache"),
      isolation_default(choose_default(options.default_isolation, options.default_isolation_source,
                                       host::decide_kind(host::read_evidence()))),
      kernels(options.root / "kernels", guest_kernel(options), shipped_kernels(options)),
      kernel_fit(layers, kernels),
      admission(admission_options(options), events) {}

LivePointer Engine::State::find(const std::string& reference) {
  std::string text = reference.starts_with("/") ? reference.substr(1) : reference;
  std::lock_guard lock(mutex);
  if (auto exact = by_id.find(text); exact != by_id.end()) {
    return exact->second;
  }
  if (auto named = id_by_name.find(text); named != id_by_name.end()) {
    return by_id.at(named->second);
  }
  auto match = text.empty() ? by_id.end() : by_id.lower_bound(text);
  if (match == by_id.end() || !match->first.starts_with(text)) {
    throw Error(ErrorCode::kNotFound, fmt::format("No such container: {}", reference));
  }
  if (auto next = std::next(match); next != by_id.end() && next->first.starts_with(text)) {
    throw Error(ErrorCode::kInvalidArgument, fmt::format("Multiple IDs found with provided prefix: {}", reference));
  }
  return match->second;
}

std::vector<LivePointer> Engine::State::all() {
  std::lock_guard lock(mutex);
  std::vector<LivePointer> list;
  list.reserve(by_id.size());
  for (const auto& [id, live] : by_id) {
    list.push_back(live);
  }
  return list;
}

void Engine::State::save(const LivePointer& live) { records.update_state(live->copy()); }

void Engine::State::publish(const Container& container, const std::string& action, std::map<std::string, std::string> more) {
  more["image"] = container.config.image;
  more["name"] = container.name;
  more.insert(container.config.labels.begin(), container.config.labels.end());
  events.publish({.type = "container", .action = action, .actor_id = container.id, .attributes = std::move(more)});
}

namespace {
/// Where the shims of this instance look for it.
void write_vm_settings(const EngineOptions& options) {
  std::map<std::string, std::string> settings = options.vm_settings;
  settings["kernels"] = options.root / "kernels";
  replace_file(options.run_root / "cache" / "vm.json", nlohmann::json(settings).dump(), 0600, Durability::kUnsynced);
}
}  // namespace

Engine::Engine(EngineOptions options) : state_(std::make_unique<State>(std::move(options))) {
  write_vm_settings(state_->options);
  state_->recover();
  state_->start_restarting_containers();
}

Engine::~Engine() = default;

namespace {
/// The folders that this instance's containers had their cgroups in, of every hierarchy: rmdir(2) leaves those that are used.
void remove_unused_cgroups(const std::string& parent) {
  const std::filesystem::path root = "/sys/fs/cgroup";
  std::string name = parent.substr(parent.find_first_not_of('/'));
  std::error_code ignored;
  std::filesystem::remove(root / name, ignored);
  for (const auto& hierarchy : std::filesystem::directory_iterator(root, ignored)) {
    if (hierarchy.is_directory(ignored)) {
      std::filesystem::remove(hierarchy.path() / name, ignored);
    }
  }
}
}  // namespace

void Engine::shut_down() {
  for (const LivePointer& live : state_->all()) {
    live->decide(Leftovers::kKept);
  }
  for (const LivePointer& live : state_->all()) {
    if (live->leaves()) {
      std::lock_guard operation(live->operation);
    }
  }
  {
    std::lock_guard lock(state_->keeper_mutex);
    state_->keeper.reset();
  }
  remove_unused_cgroups(state_->options.cgroup_parent + "-" + state_->instance);
  try {
    state_->networks.remove_unused();
  } catch (const Error& error) {
    log::warn("remove what no container uses: {}", error.message());
  }
}

std::vector<Container> Engine::list() {
  std::vector<Container> containers;
  for (const LivePointer& live : state_->all()) {
    containers.push_back(live->copy());
  }
  std::sort(containers.begin(), containers.end(), [](const auto& a, const auto& b) { return a.created > b.created; });
  return containers;
}

Container Engine::inspect(const std::string& reference) { return state_->find(reference)->copy(); }

image::ImageStore& Engine::images() { return state_->images; }

network::NetworkStore& Engine::networks() { return state_->networks; }
EventBus& Engine::events() { return state_->events; }

std::string Engine::user_of_image(const std::string& image_id) {
  std::string user;
  for (const LivePointer& live : state_->all()) {
    Container record = live->copy();
    if (record.image_id == image_id && (user.empty() || record.is_running())) {
      user = record.id;
    }
  }
  return user;
}

PolicyStatus Engine::policy_status() { return state_->admission.status(); }
void Engine::reload_policy() { state_->admission.reload(); }
std::vector<PolicyFinding> Engine::audit_policy() {
  return state_->admission.audit(list(), state_->usual_mode(), state_->kernel_fit);
}

namespace {
void describe_policy(const PolicyStatus& status, EngineInfo& info) {
  if (!status.file.empty()) {
    info.security_options.push_back(fmt::format("name=policy,file={}", status.file));
  }
  if (!status.error.empty()) {
    info.warnings.push_back(fmt::format("WARNING: {}: {}",
                                        status.in_force ? "the policy was changed, and the version before stays in force"
                                                        : "the policy can't be understood, and no container is created",
                                        status.error));
  }
}
}  // namespace

EngineInfo Engine::info() {
  EngineInfo info;
  info.id = instance_id(state_->options.root);
  for (const LivePointer& live : state_->all()) {
    Container record = live->copy();
    ++info.containers;
    ++(record.status == Status::kRunning ? info.running : record.status == Status::kPaused ? info.paused : info.stopped);
  }
  info.images = static_cast<int>(state_->images.list().size());
  utsname names{};
  uname(&names);
  info.name = names.nodename;
  info.kernel_version = names.release;
  info.architecture = names.machine;
  info.operating_system = os_release("PRETTY_NAME");
  info.os_version = os_release("VERSION_ID");
  info.cgroup_version = std::filesystem::exists("/sys/fs/cgroup/cgroup.controllers") ? "2" : "1";
  info.cgroup_driver = "cgroupfs";
  info.default_isolation = state_->isolation_default.mode;
  info.default_isolation_because = state_->isolation_default.because;
  info.host_kind = host::name(state_->isolation_default.host.kind);
  info.host_kind_because = state_->isolation_default.host.because;
  info.cpus = static_cast<int>(sysconf(_SC_NPROCESSORS_ONLN));
  info.memory = static_cast<int64_t>(sysconf(_SC_PHYS_PAGES)) * sysconf(_SC_PAGESIZE);
  info.root = state_->options.root;
  info.insecure_registries = state_->options.insecure_registries;
  for (const auto& [mode, description] : state_->isolations.all()) {
    info.isolations.push_back({.mode = mode,
                               .available = description.available,
                               .reason = description.reason,
                               .accelerator = description.accelerator,
                               .accelerator_reason = description.accelerator_reason});
  }
  info.security_options = {"name=seccomp,profile=builtin"};
  describe_policy(state_->admission.status(), info);
  return info;
}

}  // namespace bulkhead::engine
