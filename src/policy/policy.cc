#include "policy/policy.h"

#include <fmt/format.h>

#include <algorithm>

#include "support/error.h"

namespace bulkhead::policy {
namespace {

/// What the matching rules add up to: the first one's verdict, and the walls of those that only add to it.
struct Sum {
  const Rule* winner = nullptr;
  ModeSet permitted;
  std::optional<Mode> preferred;
  Walls walls;
  std::vector<Factor> factors;
};

/// The thinnest that is still permitted, once nothing thinner than `least` may be had.
void raise(ModeSet& permitted, Mode least) {
  for (Mode mode : kModes) {
    if (mode < least) {
      permitted.remove(mode);
    }
  }
}

void add_below(Sum& sum, const Rule& rule) {
  sum.walls.join(rule.walls);
  sum.factors.insert(sum.factors.end(), rule.factors.begin(), rule.factors.end());
  if (auto least = rule.permitted.thinnest()) {
    raise(sum.permitted, *least);
  }
  if (rule.preferred) {
    sum.preferred = sum.preferred ? thicker(*sum.preferred, *rule.preferred) : *rule.preferred;
  }
}

Sum add_up(const std::vector<Rule>& rules, const Subject& subject) {
  Sum sum;
  for (const Rule& rule : rules) {
    if (!all_hold(rule.match, subject)) {
      continue;
    }
    if (sum.winner == nullptr) {
      sum = {.winner = &rule,
             .permitted = rule.permitted,
             .preferred = rule.preferred,
             .walls = rule.walls,
             .factors = rule.factors};
    } else {
      add_below(sum, rule);
    }
    if (rule.outcome != Outcome::kRequire) {
      break;
    }
  }
  return sum;
}

/// Where the client asked for none: the rule's own, or this host's; else the nearest that is permitted, a thicker one first.
Mode choose(const Sum& sum, Mode usual) {
  Mode wanted = sum.preferred.value_or(usual);
  for (Mode mode : kModes) {
    if (mode >= wanted && sum.permitted.contains(mode)) {
      return mode;
    }
  }
  return sum.permitted.thinnest().value_or(Mode::kHyperv);
}

std::string with_reason(const std::string& text, const std::string& because) {
  return because.empty() ? text : fmt::format("{} ({})", because, text);
}

/// Why a mode that was asked for can't be had, and what to do; "" where it can.
std::string mode_conflict(const Sum& sum, Mode asked) {
  if (sum.permitted.contains(asked)) {
    return "";
  }
  Mode other = *sum.permitted.thinnest();
  return fmt::format("asked for was {} isolation; leave --isolation out, or ask for {}", name(asked), name(other));
}

/// Why the walls can't stand around what is asked for; "" where they can.
std::string walls_conflict(const Sum& sum, const Request& request) {
  if (sum.walls.seccomp.size() > 1) {
    return fmt::format("its rules ask for different seccomp profiles: {}", fmt::join(sum.walls.seccomp, ", "));
  }
  std::string asked = conflict(sum.walls, request);
  return asked.empty() ? "" : fmt::format("asked for was {}, which this rule forbids; leave it out", asked);
}

Decision denied(Decision decision, std::string because) {
  decision.verdict = Verdict::kDenied;
  decision.because = std::move(because);
  return decision;
}

}  // namespace

Policy Policy::none() {
  Policy policy;
  policy.identities_.environments.allowed.clear();
  policy.rules_.push_back({.outcome = Outcome::kAllow, .permitted = ModeSet::all()});
  return policy;
}

Decision Policy::by_rules(const Request& request, Mode usual, Decision decision) const {
  HostPaths host;
  Sum sum = add_up(rules_, {request, decision.identity, host});
  if (sum.winner == nullptr) {
    return denied(std::move(decision), "no rule of the policy matches this container, and what no rule allows is refused");
  }
  decision.rule = sum.winner->name;
  decision.line = sum.winner->line;
  decision.walls = sum.walls;
  decision.factors = sum.factors;
  const std::string& because = sum.winner->because;
  if (sum.permitted.empty()) {
    return denied(std::move(decision), because);
  }
  if (request.asked_mode) {
    if (std::string conflict = mode_conflict(sum, *request.asked_mode); !conflict.empty()) {
      return denied(std::move(decision), with_reason(conflict, because));
    }
  }
  if (std::string conflict = walls_conflict(sum, request); !conflict.empty()) {
    return denied(std::move(decision), with_reason(conflict, because));
  }
  decision.verdict = Verdict::kAllowed;
  decision.because = because;
  decision.mode = request.asked_mode.value_or(choose(sum, usual));
  if (!request.asked_mode && decision.mode == Mode::kProcess && sum.permitted.contains(Mode::kHyperv)) {
    decision.alternative = Mode::kHyperv;
  }
  return decision;
}

Decision Policy::decide(const Request& request, Mode usual) const {
  Decision decision;
  decision.file = file_;
  try {
    decision.identity = identify(identities_, request);
  } catch (const Error& error) {
    return denied(std::move(decision), error.message());
  }
  return by_rules(request, usual, std::move(decision));
}

}  // namespace bulkhead::policy
