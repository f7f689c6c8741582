// What a policy adds to a create: reading the request and asking 1,000 rules, none of which but the last matches. The aim is
// less than a millisecond.
#include <benchmark/benchmark.h>
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "policy/policy.h"

namespace {

using namespace bulkhead::policy;

/// Each rule looks at something else first, so that no one shortcut makes them all quick.
std::string text_of(int rules) {
  std::string text = "version: 1\nrules:\n";
  for (int i = 0; i + 1 < rules; ++i) {
    const char* matches[] = {"image: 'registry{0}.example/**/app*:1.*'",
                             "image: '*/team{0}/*', digest-pinned: false",
                             "labels: {{team: 'team{0}-*', tier: '*'}}",
                             "tenant: 'tenant{0}-*', environment: production",
                             "host-mounts: [/srv/{0}/a, /srv/{0}/b], privileged: false",
                             "added-capabilities: {{only: [CHOWN]}}, labels: {{number: '{0}'}}"};
    text += fmt::format("- {{match: {{{}}}, require: hyperv, because: rule {}}}\n",
                        fmt::format(fmt::runtime(matches[i % 6]), i), i);
  }
  return text + "- {match: any, allow: all}\n";
}

nlohmann::json body() {
  return {
      {"Image", "registry.example/shop/cart/app:2.1"},
      {"Labels", {{"team", "shop"}, {"tier", "web"}, {"org.bulkhead.tenant", "acme"}, {"org.bulkhead.environment", "test"}}},
      {"HostConfig", {{"Binds", {"/srv/shop/data:/data", "/srv/shop/config:/config:ro"}}, {"CapAdd", {"NET_ADMIN"}}}}};
}

void decide(benchmark::State& state) {
  Policy policy = Policy::parse(text_of(static_cast<int>(state.range(0))), "bench.yaml");
  nlohmann::json request = body();
  for ([[maybe_unused]] auto _ : state) {
    Decision decision = policy.decide(read_request(request), Mode::kProcess);
    if (decision.verdict != Verdict::kAllowed) {
      state.SkipWithError("the last rule should have decided");
      break;
    }
  }
}
BENCHMARK(decide)->Arg(10)->Arg(100)->Arg(1000)->Unit(benchmark::kMicrosecond);

void parse(benchmark::State& state) {
  std::string text = text_of(static_cast<int>(state.range(0)));
  for ([[maybe_unused]] auto _ : state) {
    benchmark::DoNotOptimize(Policy::parse(text, "bench.yaml"));
  }
}
BENCHMARK(parse)->Arg(1000)->Unit(benchmark::kMillisecond);

}  // namespace
