#include "policy/factor.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

namespace bulkhead::policy {
namespace {

struct Entry {
  Factor factor;
  std::string_view name, sentence;
  Mode least;
};

constexpr std::array kEntries = {
    Entry{Factor::kDedicatedKernel, "dedicated kernel", "the application needs a kernel of its own", Mode::kHyperv},
    Entry{Factor::kHostDoesNotTrustApp, "host does not trust the app", "the host does not fully trust the application",
          Mode::kHyperv},
    Entry{Factor::kNeighboursDoNotTrustOthers, "neighbours do not trust each other",
          "applications beside each other do not trust each other", Mode::kHyperv},
    Entry{Factor::kCompliance, "compliance", "rules that this host has to comply with ask for it", Mode::kHyperv},
    Entry{Factor::kEnvironment, "environment", "containers of different environments do not share a kernel", Mode::kProcess},
};

const Entry& entry(Factor factor) { return kEntries.at(static_cast<size_t>(factor)); }

}  // namespace

std::string_view name(Factor factor) { return entry(factor).name; }
std::string_view sentence(Factor factor) { return entry(factor).sentence; }
Mode least_mode(Factor factor) { return entry(factor).least; }

std::optional<Factor> factor_of(std::string_view words) {
  std::string spaced(words);
  std::replace(spaced.begin(), spaced.end(), '-', ' ');
  for (const Entry& candidate : kEntries) {
    if (candidate.name == spaced) {
      return candidate.factor;
    }
  }
  return std::nullopt;
}

std::string factor_names() {
  std::string names;
  for (const Entry& each : kEntries) {
    names += fmt::format("{}'{}'", names.empty() ? "" : ", ", each.name);
  }
  return names;
}

Walls walls_of(Factor factor) {
  Walls walls;
  switch (factor) {
    case Factor::kDedicatedKernel:
    case Factor::kNeighboursDoNotTrustOthers: break;
    case Factor::kHostDoesNotTrustApp:
      walls.no_new_privileges = true;
      walls.seccomp = {std::string(kDefaultSeccomp)};
      break;
    case Factor::kCompliance:
      // CIS Docker Benchmark 1.6: 5.4 (capabilities), 5.13 (read-only root), 5.22 (seccomp), 5.26 (no new privileges).
      walls.read_only_root = true;
      walls.no_new_privileges = true;
      walls.drop_capabilities = {"MKNOD", "NET_RAW"};
      walls.seccomp = {std::string(kDefaultSeccomp)};
      break;
    case Factor::kEnvironment: walls.separation = Separation::kEnvironments; break;
  }
  return walls;
}

}  // namespace bulkhead::policy
