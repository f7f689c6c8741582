#include "engine/kernel_fit.h"

#include <fmt/format.h>
#include <sys/utsname.h>

#include <algorithm>

#include "compat/abi_note.h"
#include "engine/spec_builder.h"
#include "host/emulators.h"
#include "image/image.h"
#include "oci/manifest.h"
#include "storage/layer_store.h"
#include "support/error.h"

namespace bulkhead::engine {
namespace {

constexpr size_t kMaxKnown = 256;

compat::KernelFacts host_kernel() {
  utsname names{};
  ::uname(&names);
  return {.name = "this host",
          .release = names.release,
          .version = compat::version_of_build(names.release, names.version),
          .architecture = oci::host_platform().architecture,
          .emulated = {}};
}

constexpr const char* kSharedRemedies =
    "In process isolation a container shares the host's kernel. Rebuild the image for this kernel, run it with "
    "--isolation=hyperv, "
    "which brings a kernel of its own, or use another host";
constexpr const char* kForeignRemedies =
    "In process isolation programs run on the host's own processor. Rebuild the image for it, run it with --isolation=hyperv, "
    "where they are emulated (with the package qemu-user-static), or use another host";
constexpr const char* kNoEmulator = "There is no emulator for these: use an image for this host's processor, or another host";
constexpr const char* kOwnRemedies =
    "'bulkhead kernel ls' lists the guests' kernels, 'bulkhead kernel add' adds one that fits; or rebuild the image for one of "
    "these";

[[noreturn]] void refuse(const Container& container, const std::string& why, const char* remedies) {
  throw Error(ErrorCode::kNotSupported, fmt::format("image '{}' does not fit: {}. {}", container.config.image, why, remedies));
}

/// What the annotation asks of the kernel beyond the image. Where it names an entry, only that one remains. SECURITY: a range
/// is a range, whatever the entries are called: `kernel: '6.1'` in a policy means no other version.
void apply_wish(const std::string& asked, const std::string& source, std::vector<kernels::Entry>& candidates,
                compat::ImageNeeds& needs) {
  if (compat::is_kernel_range(asked)) {
    needs.kernel.push_back({.range = compat::KernelRange::parse(asked), .source = source});
    return;
  }
  auto named = std::find_if(candidates.begin(), candidates.end(), [&](const auto& entry) { return entry.name == asked; });
  if (named == candidates.end()) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("{}: there is no guest kernel '{}' to choose here, and it is no range such as '>=5.15 <7': "
                            "'bulkhead kernel ls' lists them",
                            source, asked.substr(0, 64)));
  }
  kernels::Entry chosen = *named;
  candidates = {std::move(chosen)};
}

/// What annotation and policy ask of the kernel beyond the image: each narrows what is left.
void apply_wishes(const Container& container, std::vector<kernels::Entry>& candidates, compat::ImageNeeds& needs) {
  const auto& annotations = container.host_config.annotations;
  if (auto asked = annotations.find(compat::kKernelLabel); asked != annotations.end()) {
    apply_wish(asked->second, "annotation org.bulkhead.kernel", candidates, needs);
  }
  if (container.policy) {
    for (const std::string& kernel : container.policy->decision.walls.kernels) {
      apply_wish(kernel, fmt::format("policy rule '{}'", container.policy->decision.rule), candidates, needs);
    }
  }
}

bool wants_host_folders(const HostConfig& config) {
  return !config.binds.empty() ||
         std::any_of(config.mounts.begin(), config.mounts.end(), [](const MountPoint& each) { return each.type != "tmpfs"; });
}

struct Choice {
  kernels::Entry entry;
  compat::KernelFacts facts;
};

compat::KernelFacts facts_of(const kernels::Entry& entry, const std::string& architecture) {
  return {.name = fmt::format("guest kernel '{}'", entry.name),
          .release = entry.release,
          .version = entry.version,
          .architecture = architecture,
          .emulated = host::installed_architectures(),
          .programs_386 = entry.boot.programs_386 == kernels::Programs386::kYes};
}

/// The first that fits; throws for the first that doesn't where none does.
Choice choose(const std::vector<kernels::Entry>& candidates, const compat::ImageNeeds& needs, const Container& container,
              const std::string& architecture) {
  std::string first;
  for (const kernels::Entry& entry : candidates) {
    compat::ImageNeeds asked = needs;
    if (entry.release.empty()) {
      asked.kernel.clear();  // a kernel of somebody's own, which doesn't say what it is
    }
    compat::KernelFacts facts = facts_of(entry, architecture);
    auto why = compat::mismatch(asked, facts);
    if (!why && entry.boot.shares == kernels::Shares::kNone && wants_host_folders(container.host_config)) {
      why = fmt::format("the container has bind mounts, and {} has no 9p to mount folders of the host with", facts.name);
    }
    if (!why) {
      return {.entry = entry, .facts = std::move(facts)};
    }
    first = first.empty() ? *why : first;
  }
  refuse(container, first, kOwnRemedies);
}

/// Throws where the guest would need an emulator that isn't there.
void check_emulator(const compat::ImageNeeds& needs, const std::string& architecture, const Container& container) {
  if (compat::runs_natively(needs.architecture, architecture)) {
    return;
  }
  const host::Emulator* emulator = host::emulator_for(needs.architecture);
  std::string why =
      fmt::format("the image is for {} processors, this host has {}", needs.architecture.substr(0, 32), architecture);
  if (emulator == nullptr) {
    refuse(container, why, kNoEmulator);
  }
  if (host::installed_program(*emulator).empty()) {
    refuse(container, why,
           "Install the package qemu-user-static: guests then run such programs under emulation; or use another host");
  }
}

}  // namespace

std::optional<compat::KernelNeed> KernelFit::library_need(const image::Image& image) {
  if (image.chain_ids.empty()) {
    return std::nullopt;
  }
  {
    std::lock_guard lock(mutex_);
    if (auto found = known_.find(image.chain_ids.back()); found != known_.end()) {
      return found->second;
    }
  }
  std::vector<std::string> folders;
  for (auto chain_id = image.chain_ids.rbegin(); chain_id != image.chain_ids.rend(); ++chain_id) {
    folders.push_back(layers_.folder(*chain_id));
  }
  std::optional<compat::KernelNeed> need;
  for (const std::string& path : compat::library_paths(image.architecture)) {
    std::optional<std::string> head = read_overlay_head(folders, path, compat::kAbiNoteHead);
    if (auto version = head ? compat::minimum_kernel(*head) : std::nullopt) {
      need = {.range = compat::KernelRange::at_least(*version), .source = path};
      break;
    }
  }
  std::lock_guard lock(mutex_);
  if (known_.size() >= kMaxKnown) {
    known_.clear();
  }
  known_[image.chain_ids.back()] = need;
  return need;
}

void KernelFit::choose_own(compat::ImageNeeds needs, Container& container) {
  auto& annotations = container.host_config.annotations;
  auto asked = annotations.find(compat::kKernelLabel);
  std::vector<kernels::Entry> candidates = kernels_.list();
  apply_wishes(container, candidates, needs);
  const std::string architecture = host_kernel().architecture;
  check_emulator(needs, architecture, container);
  if (!compat::runs_natively(needs.architecture, architecture)) {
    // The emulator has to be told argv[0] (binfmt_misc's flag P, as QEMU knows it since then).
    needs.kernel.push_back({.range = compat::KernelRange::parse(">=5.12"), .source = "emulation"});
  }
  Choice chosen = choose(candidates, needs, container, architecture);
  if (asked != annotations.end() || chosen.entry.name != kernels::kBuiltIn) {
    annotations[compat::kKernelLabel] = chosen.entry.name;
  }
  annotations.erase(kEmulationAnnotation);  // not the user's to say
  if (!compat::runs_natively(needs.architecture, chosen.facts)) {
    annotations[kEmulationAnnotation] = needs.architecture;
  }
}

std::optional<std::string> KernelFit::differs(const Container& container, const std::string& wanted) const {
  compat::KernelFacts kernel = host_kernel();
  std::string name;
  if (container.own_kernel) {
    const auto& annotations = container.host_config.annotations;
    auto chosen = annotations.find(compat::kKernelLabel);
    name = chosen == annotations.end() ? kernels::kBuiltIn : chosen->second;
    std::vector<kernels::Entry> entries = kernels_.list();
    auto entry = std::find_if(entries.begin(), entries.end(), [&](const auto& each) { return each.name == name; });
    kernel.release = entry == entries.end() || entry->release.empty() ? name : entry->release;
    kernel.version = entry == entries.end() ? "" : entry->version;
  }
  bool is_wanted = name == wanted;
  if (compat::is_kernel_range(wanted)) {
    is_wanted = !compat::mismatch({.kernel = {{.range = compat::KernelRange::parse(wanted), .source = {}}}}, kernel);
  }
  return is_wanted ? std::nullopt : std::optional(kernel.release);
}

void KernelFit::check(const image::Image& image, Container& container) {
  compat::ImageFacts image_facts{.architecture = image.architecture,
                                 .os_version = image.os_version,
                                 .os_features = image.os_features,
                                 .labels = container.config.labels,
                                 .library = library_need(image)};
  image_facts.labels.insert(image.config.labels.begin(), image.config.labels.end());
  compat::ImageNeeds needs = compat::needs_of(image_facts);
  if (container.own_kernel) {
    choose_own(std::move(needs), container);
    return;
  }
  auto& annotations = container.host_config.annotations;
  annotations.erase(kEmulationAnnotation);
  std::vector<kernels::Entry> none;
  apply_wishes(container, none, needs);
  compat::KernelFacts host = host_kernel();
  bool foreign = !compat::runs_natively(needs.architecture, host.architecture);
  if (foreign) {
    host.emulated = host::registered_architectures();
  }
  if (std::optional<std::string> why = compat::mismatch(needs, host)) {
    bool wrong_processor =
        foreign && std::find(host.emulated.begin(), host.emulated.end(), needs.architecture) == host.emulated.end();
    bool can_be_emulated = host::emulator_for(needs.architecture) != nullptr;
    refuse(container, *why, !wrong_processor ? kSharedRemedies : can_be_emulated ? kForeignRemedies : kNoEmulator);
  }
}

}  // namespace bulkhead::engine
