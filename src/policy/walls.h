// What a policy puts up beside the mode: the least that a container's wall must have. Pure data; joining only ever adds.
#pragma once

#include <set>
#include <string>
#include <string_view>

namespace bulkhead::policy {

struct Request;

/// Which containers a kernel keeps apart: those of other tenants always, and where one of them asks for it those of another
/// environment.
enum class Separation { kTenants, kEnvironments };

constexpr std::string_view kDefaultSeccomp = "default";

struct Walls {
  bool read_only_root = false, no_new_privileges = false;
  std::set<std::string> drop_capabilities;  // "NET_RAW"; "ALL"
  std::set<std::string> kernels;            // names in the catalogue of guests' kernels, or ranges; all of them hold
  std::set<std::string> seccomp;            // "default" or a profile's path; more than one can't be had
  Separation separation = Separation::kTenants;

  void join(const Walls& other);
  /// Whether nothing of `other` is missing here.
  bool cover(const Walls& other) const;
  bool empty() const;

  friend bool operator==(const Walls&, const Walls&) = default;
};

/// What a request asks for that these walls forbid: "--privileged"; "" where there is nothing. Walls that a request says
/// nothing about are put up without a word; only what would undo one is refused.
std::string conflict(const Walls& walls, const Request& request);

}  // namespace bulkhead::policy
