// Who may have which container, behind which wall: the policy in force, asked at each create, and the ledger of who is on which
// kernel. Every answer goes to the audit log and to the events. Owned by the engine; thread-safe.
//
// A create admits; whoever gives up on the container afterwards, or removes it, releases it.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "engine/audit_log.h"
#include "engine/container.h"
#include "engine/events.h"
#include "engine/kernel_fit.h"
#include "engine/policy_store.h"
#include "policy/kernel_ledger.h"

namespace bulkhead::image {
struct Image;
}

namespace bulkhead::engine {

struct CreateRequest;

struct AdmissionOptions {
  std::filesystem::path policy_file;
  PolicyFile policy_kind = PolicyFile::kUsual;
  std::filesystem::path audit_log;
};

/// A container that today's policy would not let be as it is.
struct PolicyFinding {
  std::string container, name;
  std::string isolation;           // as it is
  policy::Decision decision;       // today's
  std::vector<std::string> wrong;  // each a sentence
};

/// What somebody wants of the catalogue of guest kernels.
struct KernelChange {
  std::string event;  // "kernel add", "kernel rm"
  std::string name;
  std::string path;  // what it would be added from
};

class Admission {
 public:
  Admission(const AdmissionOptions& options, EventBus& events);

  /// Decides about `container` (its id and options are those of the request): sets its mode, puts up its walls, takes its place
  /// on a kernel. `usual`: the mode of this host where nobody asks for one. Throws kPermissionDenied saying why.
  void admit(const CreateRequest& request, const image::Image& image, policy::Mode usual, Container& container);
  void release(const std::string& container);
  /// A container found again after a restart keeps its place, whoever else is there.
  void adopt(const Container& container);
  /// Throws kPermissionDenied where it would run beside another tenant's.
  void check_start(const Container& container);
  /// SECURITY: `exec --privileged` would be the way around a policy that forbids `run --privileged`. `caller` is who asks for
  /// it, whoever made the container.
  void check_privileged_exec(const Container& container, const policy::Caller& caller);

  /// SECURITY: a kernel is the wall of whoever gets it. Throws kPermissionDenied but for root at the Unix socket, with or
  /// without a policy (kernel_changes.cc).
  void check_kernel_change(const policy::Caller& caller, const KernelChange& change);

  /// The running ones of `containers` that today's policy would refuse, or give another wall.
  std::vector<PolicyFinding> audit(const std::vector<Container>& containers, policy::Mode usual, const KernelFit& kernels);
  PolicyStatus status() { return store_.status(); }
  void reload();

 private:
  policy::Decision settle(const policy::Request& request, policy::Decision decision, const std::string& container);
  /// The one in force. Where there is none, that is the decision, and recorded as such.
  std::shared_ptr<const LoadedPolicy> policy_for(const std::string& event, const Container& container,
                                                 const policy::Request& request);
  void record(const std::string& event, const Container& container, const policy::Request& request,
              const policy::Decision& decision);

  PolicyStore store_;
  AuditLog log_;
  EventBus& events_;
  policy::KernelLedger ledger_;
};

}  // namespace bulkhead::engine
