// bulkhead policy: checks a policy file and tries it on a request, without an engine; asks the engine why a container is as it
// is, and which running ones today's policy would not have.
#include "policy/policy.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "cli/json_fields.h"
#include "cli/options.h"
#include "cli/queries.h"
#include "cli/table.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "policy/host_paths.h"
#include "policy/policy_file.h"
#include "support/error.h"
#include "support/files.h"

namespace bulkhead::cli {
namespace {

using nlohmann::json;

constexpr size_t kRequestLimit = 4UL << 20;

int check(Api& /*api*/, Words words) {
  Options options("policy check", "FILE", "Says whether a policy file is understood, and what in it is probably not meant.");
  if (options.parse(std::move(words)) == Parsed::kHelpShown) {
    return 0;
  }
  options.require_arguments(1, 1);
  policy::Policy policy = policy::read_policy(options.arguments().front());
  policy::read_profiles(policy);
  for (const std::string& warning : policy.warnings()) {
    fmt::print("warning: {}\n", printable(warning));
  }
  fmt::print("{}: {} rule{}, understood\n", policy.file(), policy.rules().size(), policy.rules().size() == 1 ? "" : "s");
  return 0;
}

void print_walls(const policy::Walls& walls) {
  std::vector<std::string> lines;
  if (walls.read_only_root) {
    lines.emplace_back("read-only root");
  }
  if (walls.no_new_privileges) {
    lines.emplace_back("no new privileges");
  }
  if (!walls.drop_capabilities.empty()) {
    lines.push_back(fmt::format("without {}", fmt::join(walls.drop_capabilities, ", ")));
  }
  for (const std::string& kernel : walls.kernels) {
    lines.push_back("kernel " + kernel);
  }
  for (const std::string& profile : walls.seccomp) {
    lines.push_back("seccomp profile " + profile);
  }
  if (walls.separation == policy::Separation::kEnvironments) {
    lines.emplace_back("a kernel of its environment only");
  }
  if (!lines.empty()) {
    fmt::print("Walls:       {}\n", printable(fmt::format("{}", fmt::join(lines, ", "))));
  }
}

void print_field(std::string_view label, const std::string& text) {
  if (!text.empty()) {
    fmt::print("{:<12} {}\n", fmt::format("{}:", label), printable(text));
  }
}

void print_decision(const policy::Decision& decision) {
  bool allowed = decision.verdict == policy::Verdict::kAllowed;
  print_field("Decision", allowed ? fmt::format("{} isolation", policy::name(decision.mode)) : "refused");
  if (!decision.rule.empty()) {
    print_field("Rule", fmt::format("'{}' ({}:{})", decision.rule, decision.file, decision.line));
  }
  print_field("Because", decision.because);
  std::vector<std::string_view> factors;
  for (policy::Factor factor : decision.factors) {
    factors.push_back(policy::name(factor));
  }
  print_field("Factors", fmt::format("{}", fmt::join(factors, ", ")));
  print_walls(decision.walls);
  print_field("Tenant", decision.identity.tenant);
  print_field("Environment", decision.identity.environment);
}

json read_body(const std::string& file) {
  json body = json::parse(read_file(file, kRequestLimit), nullptr, false);
  if (body.is_discarded()) {
    throw Error(ErrorCode::kInvalidArgument, fmt::format("'{}' is no JSON: it has to hold the body of a create request", file));
  }
  return body;
}

int test(Api& /*api*/, Words words) {
  std::optional<int64_t> uid;
  std::string tls;
  std::string usual = "process";
  bool as_json = false;
  Options options("policy test", "[OPTIONS] FILE REQUEST.json",
                  "Says what a policy makes of the body of a create request, were it made on this host. The image isn't "
                  "looked for, nor is what the engine refuses by itself, nor who is on the host's kernel.");
  options.number("--uid", uid, "The caller's user id");
  options.value("--tls", tls, "The caller's TLS name");
  options.value("--default", usual, "The host's own isolation where nobody asks for one: process or hyperv");
  options.flag("--json", as_json, "Print the decision as JSON");
  if (options.parse(std::move(words)) == Parsed::kHelpShown) {
    return 0;
  }
  options.require_arguments(2, 2);
  auto mode = policy::mode_of(usual);
  if (!mode || (uid && (*uid < 0 || *uid > UINT32_MAX))) {
    throw Error(ErrorCode::kInvalidArgument, "--default is process or hyperv, --uid a user id");
  }
  policy::Policy policy = policy::read_policy(options.arguments()[0]);
  policy::Request request = policy::read_request(read_body(options.arguments()[1]));
  request.caller.tls_name = tls;
  if (uid) {
    request.caller.uid = static_cast<uint32_t>(*uid);
  }
  policy::HostPaths host;
  look_at_paths(request, host);
  policy::Decision decision = policy.decide(request, *mode);
  if (as_json) {
    fmt::print("{}\n", policy::to_json(decision).dump(4, ' ', false, json::error_handler_t::replace));
  } else {
    print_decision(decision);
  }
  return decision.verdict == policy::Verdict::kAllowed ? 0 : 1;
}

int why(Api& api, Words words) {
  bool as_json = false;
  Options options("policy why", "CONTAINER", "Says what the policy decided about a container, and why.");
  options.flag("--json", as_json, "Print what was asked and decided as JSON");
  if (options.parse(std::move(words)) == Parsed::kHelpShown) {
    return 0;
  }
  options.require_arguments(1, 1);
  json answer = api.get(fmt::format("/bulkhead/containers/{}/policy", escaped(options.arguments().front())));
  if (as_json) {
    fmt::print("{}\n", answer.dump(4, ' ', false, json::error_handler_t::replace));
    return 0;
  }
  print_field("Container", text_at(answer, "Name").substr(1) + " (" + short_id(text_at(answer, "Id")) + ")");
  print_field("Isolation", text_at(answer, "Isolation"));
  if (!field(answer, "Decision").is_object()) {
    print_field("Because", text_at(answer, "Text"));
    return 0;
  }
  policy::Decision decision = policy::decision_of_json(field(answer, "Decision"));
  if (decision.file.empty() && decision.because.empty()) {
    decision.because = "there is no policy: it is as it was asked for";
  }
  print_decision(decision);
  return 0;
}

int audit(Api& api, Words words) {
  bool as_json = false;
  Options options("policy audit", "[OPTIONS]",
                  "Lists running containers that today's policy would refuse, or give another wall.");
  options.flag("--json", as_json, "Print the findings as JSON");
  if (options.parse(std::move(words)) == Parsed::kHelpShown) {
    return 0;
  }
  options.require_arguments(0, 0);
  json answer = api.get("/bulkhead/policy/audit");
  if (as_json) {
    fmt::print("{}\n", answer.dump(4, ' ', false, json::error_handler_t::replace));
    return answer.empty() ? 0 : 1;
  }
  Table table({"CONTAINER", "NAME", "ISOLATION", "WRONG"});
  for (const json& finding : answer) {
    for (const std::string& wrong : texts_at(finding, "Wrong")) {
      table.add({short_id(text_at(finding, "Id")), text_at(finding, "Name").substr(1), text_at(finding, "Isolation"), wrong});
    }
  }
  if (answer.empty()) {
    fmt::print("every running container is as the policy wants it\n");
    return 0;
  }
  fmt::print("{}", table.text(0));
  return 1;
}

struct Verb {
  std::string_view name;
  int (*run)(Api& api, Words words);
};

}  // namespace

int run_policy(Api& api, Words words) {
  if (words.empty() || words.front() == "--help" || words.front() == "-h") {
    fmt::print(
        "bulkhead policy: which wall a container gets, and why (docs/policy.md)\n\n"
        "  policy check FILE              Says whether a policy file is understood\n"
        "  policy test FILE REQUEST.json  Says what it makes of the body of a create request\n"
        "  policy why CONTAINER           Says what was decided about a container\n"
        "  policy audit                   Lists running containers that today's policy would not have\n");
    return words.empty() ? 1 : 0;
  }
  std::string name = words.front();
  words.erase(words.begin());
  for (const Verb& verb : {Verb{"check", check}, Verb{"test", test}, Verb{"why", why}, Verb{"audit", audit}}) {
    if (name == verb.name) {
      return verb.run(api, std::move(words));
    }
  }
  throw Error(ErrorCode::kInvalidArgument, fmt::format("'policy {}' is no verb: there are check, test, why and audit", name));
}

}  // namespace bulkhead::cli
