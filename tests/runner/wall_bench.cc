// How long a wall takes, without engine and shim: create, start, wait, reap and destroy of a bundle, again and again.
//
//   wall_bench BUNDLE [COUNT]      compare with: crun run -b BUNDLE x
#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <vector>

#include "sandbox/process/process_isolation.h"
#include "support/error.h"
#include "support/files.h"

namespace {

using Clock = std::chrono::steady_clock;

struct Times {
  double create = 0, start = 0, wait = 0, reap = 0, destroy = 0;
  double total() const { return create + start + wait + reap + destroy; }
};

double lap(Clock::time_point& since) {
  auto now = Clock::now();
  return std::chrono::duration<double, std::milli>(now - std::exchange(since, now)).count();
}

Times run_once(bulkhead::sandbox::Isolation& isolation, const std::filesystem::path& bundle, int number) {
  Times times;
  auto since = Clock::now();
  bulkhead::sandbox::SandboxSpec spec;
  spec.id = fmt::format("bench-{}-{}", ::getpid(), number);
  spec.bundle = bundle;
  spec.spec = bulkhead::oci::parse_spec(bulkhead::read_file(bundle / "config.json"));
  spec.spec.process.terminal = false;
  spec.spec.linux_.cgroups_path = "/bulkhead-bench/" + spec.id;
  spec.cache_folder = "/tmp/bulkhead-bench-cache";
  spec.state_folder = bundle;
  spec.io.out = bulkhead::UniqueFd(::dup(1));
  spec.io.err = bulkhead::UniqueFd(::dup(2));
  auto wall = isolation.create(std::move(spec));
  times.create = lap(since);
  wall->start();
  times.start = lap(since);
  pollfd exit{wall->init().exit_descriptor, POLLIN, 0};
  ::poll(&exit, 1, -1);
  times.wait = lap(since);
  wall->reap("");
  times.reap = lap(since);
  wall->destroy();
  times.destroy = lap(since);
  return times;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 2) {
    fmt::print(stderr, "usage: wall_bench BUNDLE [COUNT]\n");
    return 2;
  }
  int count = argc > 2 ? std::atoi(argv[2]) : 100;
  bulkhead::sandbox::ProcessIsolation isolation;
  try {
    std::vector<Times> all(static_cast<size_t>(count));
    for (int i = 0; i < count; ++i) {
      all[static_cast<size_t>(i)] = run_once(isolation, argv[1], i);
    }
    std::sort(all.begin(), all.end(), [](const Times& a, const Times& b) { return a.total() < b.total(); });
    const Times& median = all[all.size() / 2];
    fmt::print(
        stderr,
        "ms, median of {}: total {:.2f} = create {:.2f} start {:.2f} wait {:.2f} reap {:.2f} destroy {:.2f}; best {:.2f}\n",
        count, median.total(), median.create, median.start, median.wait, median.reap, median.destroy, all.front().total());
    const Times& best = all.front();
    fmt::print(stderr, "best: create {:.2f} start {:.2f} wait {:.2f} reap {:.2f} destroy {:.2f}\n", best.create, best.start,
               best.wait, best.reap, best.destroy);
  } catch (const bulkhead::Error& error) {
    fmt::print(stderr, "wall_bench: {}: {}\n", name(error.code()), error.message());
    return 1;
  }
  return 0;
}
