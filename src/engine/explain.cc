// `bulkhead explain`: asks each container's shim what is in force, and holds it against the record.
#include <fmt/format.h>

#include <algorithm>
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
  return {
      .id = container.id, .name = container.name, .tenant = container.policy ? container.policy->decision.identity.tenant : ""};
}

std::shared_ptr<task::Client> client_of(LiveContainer& live) {
  std::lock_guard lock(live.mutex);
  if (!live.client || !live.record.is_running()) {
    throw Error(ErrorCode::kConflict, fmt::format("Container {} is not running: there is no wall to explain", live.record.id));
  }
  return live.client;
}

/// Where the first processes of the running containers that share the host's kernel are.
struct Occupancy {
  Container container;
  facts::Process init;
};

std::vector<Occupancy> occupancy_of(const std::vector<Container>& running) {
  std::vector<Occupancy> found;
  for (const Container& container : running) {
    if (container.own_kernel) {
      continue;
    }
    Occupancy& occupancy = found.emplace_back(Occupancy{.container = container, .init = {}});
    try {
      facts::describe_process(container.pid, occupancy.init);
    } catch (const Error&) {  // it has ended
      found.pop_back();
    }
  }
  return found;
}

/// Notes whom it shares the kernel and namespaces with. Returns all namespaces of others.
std::map<uint64_t, std::string> add_neighbours(ExplainedContainer& mine, const facts::Wall& wall,
                                               const std::vector<Occupancy>& occupancy) {
  std::map<uint64_t, std::string> others;
  if (mine.record.own_kernel || wall.processes().empty()) {
    return others;
  }
  for (const Occupancy& other : occupancy) {
    if (other.container.id == mine.record.id) {
      continue;
    }
    mine.on_same_kernel.push_back(neighbour_of(other.container));
    for (const facts::Namespace& each : other.init.namespaces()) {
      if (each.outer()) {
        continue;
      }
      others.emplace(each.inode(), other.container.name);
      if (each.inode() == facts::namespace_of(wall.processes(0), each.kind())) {
        mine.namespaces_shared[each.kind()].push_back(neighbour_of(other.container));
      }
    }
  }
  return others;
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

/// What the record, as it is now, would start the container from.
oci::Spec Engine::State::asked_spec(const Container& record) const {
  return build_spec({.container = record,
                     .network_namespace = record.endpoint ? record.endpoint->namespace_path : "",
                     .cgroups_path = cgroups_path(record),
                     .init_binary = options.init_binary,
                     .read_file = {}});
}

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
  std::sort(wanted.begin(), wanted.end(),
            [](const LivePointer& one, const LivePointer& other) { return one->copy().name < other->copy().name; });
  for (const std::string& reference : references) {
    wanted.push_back(state_->find(reference));
    client_of(*wanted.back());
  }
  Explanation explanation{.host = host, .containers = std::vector<ExplainedContainer>(wanted.size())};
  std::vector<Occupancy> occupancy = occupancy_of(running);
  for_all(wanted.size(), [&](size_t index) {
    ExplainedContainer& mine = explanation.containers[index];
    mine.record = wanted[index]->copy();
    try {
      auto wall = std::make_shared<facts::Wall>();
      client_of(*wanted[index])->measure(mine.record.id, *wall);
      auto others = add_neighbours(mine, *wall, occupancy);
      try {
        oci::Spec asked = state_->asked_spec(mine.record);
        mine.differences = compare_wall(
            {.asked = asked, .own_kernel = mine.record.own_kernel, .wall = *wall, .host = *host, .others = others});
      } catch (const Error& error) {
        facts::Gap& gap = *wall->add_gaps();
        gap.set_what("what was asked for");
        gap.set_why(error.message());
      }
      mine.wall = std::move(wall);
    } catch (const std::exception& error) {
      mine.failure = error.what();
    }
  });
  return explanation;
}

}  // namespace bulkhead::engine
