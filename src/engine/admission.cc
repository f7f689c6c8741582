#include "engine/admission.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "engine/admission_request.h"
#include "engine/engine.h"
#include "engine/policy_walls.h"
#include "image/image.h"
#include "support/error.h"
#include "support/log.h"

namespace bulkhead::engine {
namespace {

using policy::Decision;
using policy::KernelLedger;
using policy::Mode;
using policy::Verdict;

/// The host's kernel, or the one of its own that a container in a VM has.
std::string kernel_of(Mode mode, const std::string& container) {
  return mode == Mode::kProcess ? KernelLedger::kHostKernel : container;
}

policy::Resident resident_of(const Decision& decision) {
  return {.identity = decision.identity, .separation = decision.walls.separation};
}

std::string whose(const policy::Identity& identity) {
  std::string tenant =
      identity.tenant.empty() ? "containers of no tenant" : fmt::format("containers of the tenant '{}'", identity.tenant);
  return identity.environment.empty() ? tenant : fmt::format("{} ({})", tenant, identity.environment);
}

std::string occupied_by(const policy::Neighbour& neighbour) {
  return fmt::format("{} run on the host's kernel ({}), and tenants never share one", whose(neighbour.resident.identity),
                     neighbour.container.substr(0, 12));
}

/// SECURITY: a request of megabytes must not push the log's history out.
void shorten(nlohmann::json& value) {
  constexpr size_t kMaxText = 512;
  constexpr size_t kMaxItems = 64;
  if (value.is_string()) {
    auto& text = value.get_ref<std::string&>();
    if (text.size() > kMaxText) {
      text = fmt::format("{}... ({} bytes)", text.substr(0, kMaxText), text.size());
    }
  } else if (value.is_array()) {
    if (size_t count = value.size(); count > kMaxItems) {
      value.erase(value.begin() + kMaxItems, value.end());
      value.push_back(fmt::format("... ({} in all)", count));
    }
  }
  if (value.is_structured()) {
    for (nlohmann::json& each : value) {
      shorten(each);
    }
  }
}

/// What one container's decision looks like in the log; labels stay out, they may be long and secret.
nlohmann::json entry_of(const std::string& event, const Container& container, const policy::Request& request,
                        const Decision& decision) {
  nlohmann::json entry = policy::to_json(decision);
  entry["time"] = rfc3339(now());
  entry["event"] = event;
  entry["container"] = container.id;
  entry["name"] = container.name;
  entry["image"] = request.image;
  entry["image_id"] = container.image_id;
  nlohmann::json asked = policy::to_json(request);
  for (const char* key : {"asked_mode", "uid", "tls_name", "privileged", "added_capabilities", "host_mounts", "devices",
                          "host_namespaces", "published_ports", "lifted", "digest_pinned"}) {
    entry["request"][key] = asked[key];
  }
  shorten(entry);
  return entry;
}

}  // namespace

Admission::Admission(const AdmissionOptions& options, EventBus& events)
    : store_(options.policy_file, options.policy_kind), log_(options.audit_log), events_(events) {}

Decision Admission::settle(const policy::Request& request, Decision decision, const std::string& container) {
  auto neighbour = ledger_.claim(kernel_of(decision.mode, container), container, resident_of(decision));
  if (!neighbour) {
    return decision;
  }
  std::string why = occupied_by(*neighbour);
  decision.because = decision.because.empty() ? why : fmt::format("{}; {}", decision.because, why);
  if (decision.alternative) {
    decision.mode = *decision.alternative;
    decision.alternative.reset();
    neighbour = ledger_.claim(kernel_of(decision.mode, container), container, resident_of(decision));
  }
  if (neighbour) {
    decision.verdict = Verdict::kDenied;
    decision.because += request.asked_mode ? "; ask for hyperv isolation, or leave --isolation out"
                                           : "; and this rule allows it no kernel of its own";
  }
  return decision;
}

void Admission::admit(const CreateRequest& request, const image::Image& image, Mode usual, Container& container) {
  policy::Request asked = admission_request(request, image);
  container.name = request.name;
  container.image_id = image.id;
  auto policy = policy_for("create", container, asked);
  // SECURITY: what is kept is what was decided about: a link may be led elsewhere between two looks at it.
  Origins origins = origins_of(request.host_config);
  for (const auto& [target, source] : origins.mounts) {
    asked.host_mounts.insert(source);
  }
  for (const auto& [target, number] : origins.devices) {
    asked.devices.insert(std::string(policy::kNode) + number);
  }
  Decision decision = policy->rules.decide(asked, usual);
  if (decision.verdict == Verdict::kAllowed) {
    decision = settle(asked, std::move(decision), container.id);
  }
  try {
    record("create", container, asked, decision);
    if (decision.verdict == Verdict::kDenied) {
      throw Error(ErrorCode::kPermissionDenied, decision.text());
    }
    put_up_walls(decision.walls, policy->seccomp_profiles, container.host_config);
  } catch (...) {
    release(container.id);
    throw;
  }
  container.host_config.isolation = policy::name(decision.mode);
  container.policy = PolicyRecord{.request = std::move(asked), .decision = std::move(decision), .origins = std::move(origins)};
}

void Admission::release(const std::string& container) { ledger_.release(container); }

void Admission::adopt(const Container& container) {
  Mode mode = policy::mode_of(container.host_config.isolation).value_or(Mode::kProcess);
  policy::Resident resident = container.policy ? resident_of(container.policy->decision) : policy::Resident{};
  if (auto neighbour = ledger_.adopt(kernel_of(mode, container.id), container.id, resident)) {
    log::error("container {} is there, and {}: one of the two has to be removed", container.id, occupied_by(*neighbour));
  }
}

void Admission::check_start(const Container& container) {
  if (auto neighbour = ledger_.intruder(container.id)) {
    throw Error(ErrorCode::kPermissionDenied, fmt::format("{}: remove one of the two", occupied_by(*neighbour)));
  }
}

void Admission::check_privileged_exec(const Container& container, const policy::Caller& caller) {
  policy::Request asked = container.policy ? container.policy->request : admission_request(container);
  make_privileged(asked);
  asked.caller = caller;
  asked.asked_mode = policy::mode_of(container.host_config.isolation);
  auto policy = policy_for("exec --privileged", container, asked);
  if (container.policy) {
    name_identity(policy->rules.identities(), container.policy->decision.identity, asked);
  }
  Decision decision = policy->rules.decide(asked, asked.asked_mode.value_or(Mode::kProcess));
  if (decision.verdict == Verdict::kAllowed && container.policy && decision.identity != container.policy->decision.identity) {
    decision.verdict = Verdict::kDenied;
    decision.because = fmt::format("{} may do that to {} only, and this one is among the {}", caller.text(),
                                   whose(decision.identity), whose(container.policy->decision.identity));
  }
  // The walls that it was made with stand, whatever today's policy is.
  std::string conflict = container.policy ? policy::conflict(container.policy->decision.walls, asked) : "";
  if (decision.verdict == Verdict::kAllowed && !conflict.empty()) {
    decision.verdict = Verdict::kDenied;
    decision.because = fmt::format("the container was made with walls that forbid {}", conflict);
  }
  record("exec --privileged", container, asked, decision);
  if (decision.verdict == Verdict::kDenied) {
    throw Error(ErrorCode::kPermissionDenied, decision.text());
  }
}

std::shared_ptr<const LoadedPolicy> Admission::policy_for(const std::string& event, const Container& container,
                                                          const policy::Request& request) {
  try {
    return store_.current();
  } catch (const Error& error) {
    Decision refused;
    refused.file = store_.status().file;
    refused.because = error.message();
    record(event, container, request, refused);
    throw;
  }
}

void Admission::record(const std::string& event, const Container& container, const policy::Request& request,
                       const Decision& decision) {
  log_.write(entry_of(event, container, request, decision));
  bool allowed = decision.verdict == Verdict::kAllowed;
  events_.publish({.type = "policy",
                   .action = allowed ? "allow" : "deny",
                   .actor_id = container.id,
                   .attributes = {{"image", request.image},
                                  {"name", container.name},
                                  {"for", event},
                                  {"isolation", allowed ? std::string(policy::name(decision.mode)) : ""},
                                  {"rule", decision.rule},
                                  {"because", decision.because},
                                  {"tenant", decision.identity.tenant},
                                  {"environment", decision.identity.environment},
                                  {"caller", request.caller.text()}},
                   .time = {}});
}

std::vector<PolicyFinding> Admission::audit(const std::vector<Container>& containers, Mode usual, const KernelFit& kernels) {
  auto policy = store_.current();
  std::vector<PolicyFinding> findings;
  for (const Container& container : containers) {
    if (!container.is_running()) {
      continue;
    }
    policy::Request asked = container.policy ? container.policy->request : admission_request(container);
    Mode mode = policy::mode_of(container.host_config.isolation).value_or(Mode::kProcess);
    PolicyFinding finding = {.container = container.id,
                             .name = container.name,
                             .isolation = container.host_config.isolation,
                             .decision = policy->rules.decide(asked, usual),
                             .wrong = {}};
    const Decision& decision = finding.decision;
    if (decision.verdict == Verdict::kDenied) {
      finding.wrong.push_back("it would be refused: " + decision.because);
    } else {
      if (decision.mode > mode) {
        finding.wrong.push_back(fmt::format("it would have {} isolation: {}", policy::name(decision.mode), decision.because));
      } else if (asked.asked_mode = mode; policy->rules.decide(asked, usual).verdict == Verdict::kDenied) {
        finding.wrong.push_back(fmt::format("{} isolation would be refused: {}", policy::name(mode), decision.because));
      }
      for (const std::string& wall : missing_walls(decision.walls, policy->seccomp_profiles, container.host_config)) {
        finding.wrong.push_back("it lacks " + wall);
      }
      for (const std::string& kernel : decision.walls.kernels) {
        if (auto release = kernels.differs(container, kernel)) {
          finding.wrong.push_back(fmt::format("its kernel is {}, and not '{}'", *release, kernel));
        }
      }
    }
    if (auto neighbour = ledger_.intruder(container.id)) {
      finding.wrong.push_back(occupied_by(*neighbour));
    }
    if (!finding.wrong.empty()) {
      findings.push_back(std::move(finding));
    }
  }
  return findings;
}

void Admission::reload() { store_.reload(); }

}  // namespace bulkhead::engine
