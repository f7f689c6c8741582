// POST /containers/create: from the request to a record with a place on disk. Nothing runs yet.
#include <fmt/format.h>

#include <algorithm>

#include "compat/windows_text.h"
#include "engine/create_defaults.h"
#include "engine/engine_state.h"
#include "engine/log_rotation.h"
#include "engine/mount_requests.h"
#include "engine/names.h"
#include "engine/resource_bounds.h"
#include "engine/spec_builder.h"
#include "oci/manifest.h"
#include "storage/disks.h"
#include "support/error.h"
#include "support/files.h"
#include "support/log.h"
#include "support/random.h"
#include "support/scope_guard.h"

namespace bulkhead::engine {
namespace {

/// What is said of each that the request asks for; an image's own need no word, unless they are of no use.
void warn_of_volumes(const Container& container, const std::vector<std::string>& asked, std::vector<std::string>& warnings) {
  for (const std::string& volume : volume_paths(container.config, container.host_config)) {
    if (container.host_config.readonly_rootfs) {
      warnings.push_back(
          fmt::format("The volume {0} can't be written: it is a folder of the root, which is read-only. Use --tmpfs {0}, or "
                      "mount a folder of the host there.",
                      volume));
    } else if (std::find(asked.begin(), asked.end(), volume) != asked.end()) {
      warnings.push_back(
          fmt::format("The volume {} is kept in the container's writable layer and removed with the container.", volume));
    }
  }
}

/// What the mode in force can do; a thicker wall, whoever wanted it, is never replaced by a thinner. Throws where it can't be
/// made here; who didn't ask for it is told why it has to be this one, and the ways out.
task::IsolationDescription need_mode(IsolationModes& modes, const IsolationDefault& defaults, const Container& container) {
  const std::string& name = container.host_config.isolation;
  const PolicyRecord& policy = *container.policy;
  try {
    task::IsolationDescription mode = modes.need(name);
    check_mode(name, mode, container.host_config);
    return mode;
  } catch (const Error& error) {
    if (policy.request.asked_mode) {
      throw;
    }
    bool by_policy = !policy.decision.rule.empty() || !policy.decision.because.empty();
    Error told =
        name == defaults.mode ? Error(error.code(), fmt::format("{}. {}", error.message(), default_remedies(defaults))) : error;
    throw by_policy ? told.wrap(policy.decision.text()) : told;
  }
}

/// Docker's words; its client pulls the right one then.
void check_platform(const CreateRequest& request, const image::Image& image) {
  if (request.platform.empty()) {
    return;
  }
  oci::Platform wanted = oci::parse_platform(request.platform);
  oci::Platform actual{
      .os = image.os, .architecture = image.architecture, .variant = image.variant, .os_version = {}, .os_features = {}};
  if (!oci::platform_distance(wanted, actual)) {
    throw Error(
        ErrorCode::kNotFound,
        fmt::format("image with reference {} was found but does not match the specified platform: wanted {}, actual: {}",
                    request.config.image, oci::to_string(wanted), oci::to_string(actual)));
  }
}

void check_operating_system(const std::string& name, const image::Image& image) {
  if (!image::has_layers_here(image)) {
    throw Error(ErrorCode::kNotSupported, compat::refuse_windows_image(name, image.os_version));
  }
}

}  // namespace

policy::Mode Engine::State::usual_mode() const {
  return policy::mode_of(isolation_default.mode).value_or(policy::Mode::kHyperv);
}

Container Engine::State::define(const CreateRequest& request, std::vector<std::string>& warnings) {
  check_resources(request.host_config);
  log_rotation(request.host_config.log_options);
  image::Image image = images.find(request.config.image);
  check_platform(request, image);
  check_operating_system(request.config.image, image);
  Container container;
  container.id = random_hex(32);
  container.created = now();
  container.config = request.config;
  container.host_config = request.host_config;
  admission.admit(request, image, usual_mode(), container);
  auto give_place_back = ScopeGuard([&] { admission.release(container.id); });
  task::IsolationDescription mode = need_mode(isolations, isolation_default, container);
  container.own_kernel = mode.own_kernel;
  container.accelerator = mode.accelerator;
  kernel_fit.check(image, container);
  if (container.host_config.annotations.count(kEmulationAnnotation) > 0) {
    warnings.push_back(
        fmt::format("The image's programs are for {}: they run under emulation, many times slower.", image.architecture));
  }
  if (auto warning = isolation_warning(isolation_default, container.host_config.isolation)) {
    warnings.push_back(std::move(*warning));
  }
  for (std::string& warning : resource_warnings(container.host_config)) {
    warnings.push_back(std::move(warning));
  }
  if (has_healthcheck(image.config) && !request.config.no_healthcheck) {
    warnings.push_back(
        "The image's HEALTHCHECK is not run by this engine: the container has no health status. With --no-healthcheck nothing "
        "is said of it.");
  }
  fill_in(container, image.config);
  warn_of_volumes(container, request.config.volumes, warnings);
  if (!container.config.stop_signal.empty()) {
    parse_signal(container.config.stop_signal);
  }
  check_options(container);
  container.mounts = resolve_mounts(container.host_config);
  check_sources(container.host_config.isolation, mode, container.host_config);
  container.image_id = image.id;
  container.chain_ids = image.chain_ids;
  std::filesystem::path folder = container_folder(container.id);
  container.hosts_path = folder / "hosts";
  container.hostname_path = folder / "hostname";
  container.resolv_conf_path = folder / "resolv.conf";
  container.log_path =
      container.host_config.log_driver == "json-file" ? folder / (container.id + "-json.log") : std::filesystem::path();
  give_place_back.dismiss();
  return container;
}

/// VMs are prepared in the background. Where that fails they are booted when they are needed.
void Engine::State::need_keeper() {
  std::lock_guard lock(keeper_mutex);
  if (options.warm_machines == 0 || (keeper && keeper->runs())) {
    return;
  }
  try {
    keeper = std::make_unique<task::KeeperProcess>(
        task::KeeperRequest{.binary = options.shim,
                            .cache_folder = options.run_root / "cache",
                            .blank_disk = snapshots.blank_disk(),
                            .cgroup = fmt::format("{}-{}/vm-keeper", options.cgroup_parent, instance),
                            .warm = options.warm_machines,
                            .log = options.run_root / "vm-keeper.log"});
  } catch (const Error& error) {
    log::warn("no VMs are prepared: {}", error.message());
  }
}

void Engine::State::take_name(Container& container, const std::string& wanted) {
  if (!wanted.empty()) {
    container.name = wanted[0] == '/' ? wanted.substr(1) : wanted;
    check_name(container.name);
    try {
      records.insert(container);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kConflict) {
        throw;
      }
      throw Error(
          ErrorCode::kConflict,
          fmt::format("Conflict. The container name \"/{}\" is already in use by container \"{}\". You have to remove (or "
                      "rename) that container to be able to reuse that name.",
                      container.name, records.id_of_name(container.name)));
    }
    return;
  }
  for (int attempt = 0;; ++attempt) {
    container.name = attempt < 20 ? random_name() : fmt::format("{}_{}", random_name(), container.id.substr(0, 8));
    try {
      records.insert(container);
      return;
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kConflict || attempt > 20) {
        throw;
      }
    }
  }
}

CreateResult Engine::create(const CreateRequest& request) {
  CreateResult result;
  std::shared_lock kernel_stays(state_->kernel_choices);
  Container container = state_->define(request, result.warnings);
  auto give_place_back = ScopeGuard([&] { state_->admission.release(container.id); });
  std::filesystem::path folder = state_->container_folder(container.id);
  const std::string& top = container.chain_ids.empty() ? "" : container.chain_ids.back();
  // Folders first, the row last: a crash in between leaves folders that no row owns, which the next start removes.
  make_folders(folder, 0710);
  auto remove_folder = ScopeGuard([&] { discard_folder(folder); });
  if (!top.empty()) {
    state_->layers.reference(top);
  }
  auto release_layers = ScopeGuard([&] {
    if (!top.empty()) {
      state_->layers.release(top);
    }
  });
  if (container.own_kernel) {
    state_->need_keeper();
    int64_t size = container.host_config.storage_size;
    state_->snapshots.create_disks(container.id, container.chain_ids, size > 0 ? size : storage::kDiskSize);
  } else {
    state_->snapshots.create(container.id, container.chain_ids);
  }
  auto remove_snapshot = ScopeGuard([&] { state_->snapshots.remove(container.id); });
  auto overlay = state_->snapshots.folders(container.id);
  container.lower_folders = overlay.lower;
  container.upper_folder = overlay.upper;
  container.disk = overlay.disk;
  container.work_folder = overlay.work;
  state_->take_name(container, request.name);

  auto live = std::make_shared<LiveContainer>();
  live->record = container;
  {
    std::lock_guard lock(state_->mutex);
    state_->by_id[container.id] = live;
    state_->id_by_name[container.name] = container.id;
  }
  kernel_stays.unlock();
  give_place_back.dismiss();
  remove_snapshot.dismiss();
  release_layers.dismiss();
  remove_folder.dismiss();
  state_->publish(container, "create");
  result.id = container.id;
  return result;
}

}  // namespace bulkhead::engine
