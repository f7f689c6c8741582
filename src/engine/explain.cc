// `bulkhead explain`: asks each container's shim what is in force, and holds it against the record.
#include <fmt/format.h>

#include <atomic>
#include <thread>

#include "engine/engine_state.h"
#include "engine/explanation.h"
#include "engine/spec_builder.h"
#include "engine/wall_comparison.h"
#include "facts/facts.pb.h"
#include "facts/kernel.h"
#include "facts/process.h"
#include "support/error.h"

namespace bulkhead::engine {
namespace {

constexpr size_t kAtOnce = 4;  // shims that are asked at the same time

Neighbour neighbour_of(const Container& container) {
  return {.id = container.id,
          .name = container.name,
          .tenant = container.policy ? container.policy->decision.identity.tenant : ""};
}

std::shared_ptr<task::Client> client_of(LiveContainer& live) {
  std::lock_guard lock(live.mutex);
  if (!live.client || !live.record.is_running()) {
    throw Error(ErrorCode::kConflict, fmt::format("Container {} is not running: there is no wall to explain", live.record.id));
  }
  return live.client;
}

void compare(const Container& record, const std::string& cgroups_path, const std::filesystem::path& init_binary,
             const facts::Kernel& host, facts::Wall& wall, std::vector<Difference>& differences) {
  try {
    oci::Spec asked = build_spec({.container = record,
                                  .network_namespace = record.endpoint ? record.endpoint->namespace_path : "",
                                  .cgroups_path = cgroups_path,
                                  .init_binary = init_binary,
                                  .read_file = {}});
    differences = compare_wall({.asked = asked, .own_kernel = record.own_kernel, .wall = wall, .host = host});
  } catch (const Error& error) {
    facts::Gap& gap = *wall.add_gaps();
    gap.set_what("what was asked for");
    gap.set_why(error.message());
  }
}

/// Who is in which namespace, of the containers whose processes this kernel has.
void add_sharing(ExplainedContainer& mine, const std::vector<Container>& running) {
  if (mine.record.own_kernel || !mine.wall || mine.wall->processes().empty()) {
    return;
  }
  const facts::Process& own = mine.wall->processes(0);
  for (const Container& other : running) {
    if (other.id == mine.record.id || other.own_kernel) {
      continue;
    }
    mine.on_same_kernel.push_back(neighbour_of(other));
    facts::Process theirs;
    try {
      facts::describe_process(other.pid, theirs);
    } catch (const Error&) {  // it has ended
      continue;
    }
    for (const facts::Namespace& each : own.namespaces()) {
      if (!each.outer() && each.inode() == facts::namespace_of(theirs, each.kind())) {
        mine.namespaces_shared[each.kind()].push_back(neighbour_of(other));
      }
    }
  }
  for (const auto& [kind, others] : mine.namespaces_shared) {
    mine.differences.push_back({.what = fmt::format("{} namespace", kind),
                                .asked = "the container's own",
                                .in_force = fmt::format("shared with {}", others.front().name)});
  }
}

template <typename Work>
void for_all(size_t count, Work work) {
  std::atomic<size_t> next = 0;
  std::vector<std::thread> threads;
  for (size_t i = 0; i < std::min(count, kAtOnce); ++i) {
    threads.emplace_back([&] {
      for (size_t index = next++; index < count; index = next++) {
        work(index);
      }
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
}

}  // namespace

Explanation Engine::explain(const std::vector<std::string>& references) {
  auto host = std::make_shared<facts::Kernel>();
  facts::fill_own_kernel(*host);
  std::vector<LivePointer> wanted;
  std::vector<Container> running;
  for (const LivePointer& live : state_->all()) {
    Container record = live->copy();
    if (record.is_running()) {
      running.push_back(record);
      if (references.empty()) {
        wanted.push_back(live);
      }
    }
  }
  for (const std::string& reference : references) {
    wanted.push_back(state_->find(reference));
    client_of(*wanted.back());
  }
  Explanation explanation{.host = host, .containers = std::vector<ExplainedContainer>(wanted.size())};
  for_all(wanted.size(), [&](size_t index) {
    ExplainedContainer& mine = explanation.containers[index];
    mine.record = wanted[index]->copy();
    try {
      auto wall = std::make_shared<facts::Wall>();
      client_of(*wanted[index])->measure(mine.record.id, *wall);
      compare(mine.record, state_->cgroups_path(mine.record), state_->options.init_binary, *host, *wall, mine.differences);
      mine.wall = std::move(wall);
    } catch (const std::exception& error) {
      mine.failure = error.what();
    }
  });
  for (ExplainedContainer& mine : explanation.containers) {
    add_sharing(mine, running);
  }
  return explanation;
}

}  // namespace bulkhead::engine
