#include "engine/kernel_fit.h"

#include <fmt/format.h>
#include <sys/utsname.h>

#include <algorithm>
#include <array>

#include "compat/abi_note.h"
#include "engine/spec_builder.h"
#include "image/image.h"
#include "oci/manifest.h"
#include "storage/layer_store.h"
#include "support/error.h"
#include "support/files.h"

namespace bulkhead::engine {
namespace {

constexpr size_t kMaxKnown = 256;

/// Architectures whose programs this host's kernel hands to an emulator (binfmt_misc, as qemu-user's packages register it).
std::vector<std::string> emulated_architectures() {
  struct Emulator {
    const char* architecture;
    const char* entry;
  };
  constexpr std::array kEmulators = {Emulator{"arm64", "qemu-aarch64"},   Emulator{"arm", "qemu-arm"},
                                     Emulator{"riscv64", "qemu-riscv64"}, Emulator{"ppc64le", "qemu-ppc64le"},
                                     Emulator{"s390x", "qemu-s390x"},     Emulator{"amd64", "qemu-x86_64"},
                                     Emulator{"386", "qemu-i386"}};
  std::vector<std::string> found;
  for (const Emulator& emulator : kEmulators) {
    try {
      if (read_file(std::filesystem::path("/proc/sys/fs/binfmt_misc") / emulator.entry, 4096).starts_with("enabled")) {
        found.emplace_back(emulator.architecture);
      }
    } catch (const Error&) {  // not registered
    }
  }
  return found;
}

compat::KernelFacts host_kernel() {
  utsname names{};
  ::uname(&names);
  return {.name = "this host", .release = names.release, .architecture = oci::host_platform().architecture, .emulated = {}};
}

constexpr const char* kSharedRemedies =
    "In process isolation a container shares the host's kernel. Rebuild the image for this kernel, run it with "
    "--isolation=hyperv, "
    "which brings a kernel of its own, or use another host";
constexpr const char* kOwnRemedies =
    "'bulkhead kernel ls' lists the guests' kernels, 'bulkhead kernel add' adds one that fits; or rebuild the image for one of "
    "these";

[[noreturn]] void refuse(const Container& container, const std::string& why, const char* remedies) {
  throw Error(ErrorCode::kNotSupported, fmt::format("image '{}' does not fit: {}. {}", container.config.image, why, remedies));
}

/// What the annotation asks of the kernel beyond the image. Where it names an entry, only that one remains.
void apply_annotation(const std::string& asked, std::vector<kernels::Entry>& candidates, compat::ImageNeeds& needs) {
  auto named = std::find_if(candidates.begin(), candidates.end(), [&](const auto& entry) { return entry.name == asked; });
  if (named != candidates.end()) {
    kernels::Entry chosen = *named;
    candidates = {std::move(chosen)};
    return;
  }
  try {
    needs.kernel.push_back({.range = compat::KernelRange::parse(asked), .source = "annotation org.bulkhead.kernel"});
  } catch (const Error&) {
    throw Error(
        ErrorCode::kNotFound,
        fmt::format("annotation org.bulkhead.kernel: there is no guest kernel '{}', and it is no range such as '>=5.15 <7': "
                    "'bulkhead kernel ls' lists them",
                    asked.substr(0, 64)));
  }
}

/// The first that fits; throws for the first that doesn't where none does.
kernels::Entry choose(const std::vector<kernels::Entry>& candidates, const compat::ImageNeeds& needs,
                      const Container& container, const std::string& architecture) {
  std::string first;
  for (const kernels::Entry& entry : candidates) {
    compat::ImageNeeds asked = needs;
    if (entry.release.empty()) {
      asked.kernel.clear();  // a kernel of somebody's own, which doesn't say what it is
    }
    auto why = compat::mismatch(asked, {.name = fmt::format("guest kernel '{}'", entry.name),
                                        .release = entry.release,
                                        .architecture = architecture,
                                        .emulated = {}});
    if (!why) {
      return entry;
    }
    first = first.empty() ? *why : first;
  }
  refuse(container, first, kOwnRemedies);
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

void KernelFit::check(const image::Image& image, Container& container) {
  compat::ImageFacts facts{.architecture = image.architecture,
                           .os_version = image.os_version,
                           .os_features = image.os_features,
                           .labels = container.config.labels,
                           .library = library_need(image)};
  facts.labels.insert(image.config.labels.begin(), image.config.labels.end());
  compat::ImageNeeds needs = compat::needs_of(facts);
  compat::KernelFacts host = host_kernel();
  auto& annotations = container.host_config.annotations;
  auto asked = annotations.find(compat::kKernelLabel);
  if (container.own_kernel) {
    std::vector<kernels::Entry> candidates = kernels_.list();
    if (asked != annotations.end()) {
      apply_annotation(asked->second, candidates, needs);
    }
    kernels::Entry chosen = choose(candidates, needs, container, host.architecture);
    if (asked != annotations.end() || chosen.name != kernels::kBuiltIn) {
      annotations[compat::kKernelLabel] = chosen.name;
    }
    return;
  }
  if (asked != annotations.end()) {
    std::vector<kernels::Entry> none;
    apply_annotation(asked->second, none, needs);
  }
  if (!compat::runs_natively(needs.architecture, host.architecture)) {
    host.emulated = emulated_architectures();
  }
  if (std::optional<std::string> why = compat::mismatch(needs, host)) {
    refuse(container, *why, kSharedRemedies);
  }
}

}  // namespace bulkhead::engine
