// Measures what docs/hyperv-start.md tells: not a test, run by hand. Milliseconds by the wall clock and of QEMU's processor
// time (which other load on the machine disturbs less), and memory.
//
//   vm_measure [ROUNDS]
#include <fmt/format.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <sstream>

#include "keeper_fixture.h"
#include "linux/cgroup.h"
#include "runner/default_seccomp.h"
#include "support/files.h"
#include "vm_fixture.h"

namespace bulkhead::sandbox {
namespace {

using std::chrono::steady_clock;
using vm::Start;

struct Sample {
  double wall = 0, processor = 0;
};

/// Of one number for each round.
class Series {
 public:
  void add(const std::string& what, Sample sample) {
    if (!samples_.contains(what)) {
      order_.push_back(what);
    }
    samples_[what].push_back(sample);
  }
  void print(const char* title) const {
    std::printf("%s\n", title);
    for (const std::string& what : order_) {
      std::vector<Sample> all = samples_.at(what);
      auto middle = all.begin() + static_cast<ptrdiff_t>(all.size() / 2);
      std::nth_element(all.begin(), middle, all.end(), [](const Sample& a, const Sample& b) { return a.wall < b.wall; });
      double wall = middle->wall;
      std::nth_element(all.begin(), middle, all.end(),
                       [](const Sample& a, const Sample& b) { return a.processor < b.processor; });
      std::printf("  %-28s %7.1f ms wall %7.1f ms of QEMU's processor time\n", what.c_str(), wall, middle->processor);
    }
  }

 private:
  std::vector<std::string> order_;
  std::map<std::string, std::vector<Sample>> samples_;
};

class Measure : public VmTest {
 public:
  void TestBody() override {}
  void run(unsigned rounds) {
    SetUp();
    keeper_ = std::make_unique<KeeperProcess>(configuration(), folder_ / "cache", id_, 1);
    start("cold boot", Start::kCold, rounds);
    start("clone", Start::kClone, rounds);
    start("pool", Start::kPool, rounds);
    execs("exec in a cloned VM", Start::kClone, rounds);
    memory();
    memory_of_many();
    keeper_.reset();
    TearDown();
  }

 private:
  pid_t qemu() const { return linux::Cgroup("/bulkhead/" + id_).processes().front(); }
  double processor_time() const {
    std::string stat = read_file(fmt::format("/proc/{}/stat", qemu()));
    std::istringstream fields(stat.substr(stat.rfind(')') + 2));
    std::string skipped;
    for (int i = 0; i < 11; ++i) {
      fields >> skipped;
    }
    double user = 0;
    double system = 0;
    fields >> user >> system;
    return (user + system) * 1000 / static_cast<double>(::sysconf(_SC_CLK_TCK));
  }
  double precise_processor_time() const {
    // Nanoseconds, first field, of each thread.
    double sum = 0;
    std::istringstream lines(output_of(fmt::format("cat /proc/{}/task/*/schedstat", qemu())));
    for (std::string line; std::getline(lines, line);) {
      sum += std::stod(line) / 1e6;
    }
    return sum > 0 ? sum : processor_time();
  }
  void begin(double processor) {
    last_ = steady_clock::now();
    last_processor_ = processor;
  }
  Sample lap() {
    auto now = steady_clock::now();
    double processor = precise_processor_time();
    Sample sample{.wall = std::chrono::duration<double, std::milli>(now - last_).count(),
                  .processor = processor - last_processor_};
    begin(processor);
    return sample;
  }
  std::unique_ptr<Sandbox> create_by(Start start, std::vector<std::string> arguments, ProcessIo io) {
    vm::Configuration with = configuration();
    with.start = start;
    oci::Spec spec = make_spec(std::move(arguments));
    spec.linux_.seccomp = runner::default_seccomp(spec.process.capabilities->bounding);
    return VmIsolation(with).create(sandbox_spec(std::move(spec), std::move(io)));
  }

  void start(const char* title, Start start, unsigned rounds) {
    Series series;
    for (unsigned i = 0; i < rounds; ++i) {
      make_scratch();
      keeper_->await_stock(1);
      ::usleep(200'000);
      PipeEnds pipes = make_pipes();
      begin(0);
      auto all = steady_clock::now();
      auto sandbox = create_by(start, {"/bin/true"}, std::move(pipes.theirs));
      if (start == Start::kPool) {
        last_processor_ = precise_processor_time();  // it has a past
      }
      series.add("create", lap());
      sandbox->start();
      series.add("start", lap());
      await_exit(*sandbox, sandbox->init());
      series.add("true has ended", lap());
      sandbox->destroy();
      auto now = steady_clock::now();
      series.add("destroy", {.wall = std::chrono::duration<double, std::milli>(now - last_).count()});
      series.add("all", {.wall = std::chrono::duration<double, std::milli>(now - all).count()});
    }
    series.print(title);
  }

  void execs(const char* title, Start start, unsigned rounds) {
    Series series;
    make_scratch();
    PipeEnds pipes = make_pipes();
    auto sandbox = create_by(start, shell("echo ready; exec sleep 1000"), std::move(pipes.theirs));
    sandbox->start();
    read_until(pipes.ours.out.get(), "ready");
    for (unsigned i = 0; i < rounds + 5; ++i) {
      begin(precise_processor_time());
      std::string name = fmt::format("exec-{}", i);
      PipeEnds exec_pipes = make_pipes();
      auto& exec = sandbox->exec(name, make_process({"/bin/true"}), std::move(exec_pipes.theirs));
      await_exit(*sandbox, exec, name);
      series.add(i == 0 ? "first" : i < 5 ? "second to fifth" : "later", lap());
    }
    series.print(title);
  }

  void memory() {
    for (auto [name, start] : {std::pair{"cold boot", Start::kCold}, {"clone", Start::kClone}, {"pool", Start::kPool}}) {
      make_scratch();
      keeper_->await_stock(1);
      PipeEnds pipes = make_pipes();
      auto sandbox = create_by(start, shell("echo ready; exec sleep 1000"), std::move(pipes.theirs));
      sandbox->start();
      read_until(pipes.ours.out.get(), "ready");
      ::usleep(500'000);
      std::printf(
          "memory, %s, a 256 MB guest that sleeps:\n%s", name,
          output_of(
              fmt::format("grep -E '^(Rss|Pss|Pss_Anon|Pss_File|Pss_Shmem|Private_Dirty|Anonymous):' /proc/{}/smaps_rollup",
                          qemu()))
              .c_str());
      if (std::getenv("MAPS") != nullptr) {  // NOLINT(concurrency-mt-unsafe)
        std::printf(
            "%s",
            output_of(
                fmt::format("awk '/^[0-9a-f]+-/{{h=$0}} /^Pss:/{{if($2>400)print $2, h}}' /proc/{}/smaps | sort -rn | head -20",
                            qemu()))
                .c_str());
      }
    }
  }

  /// What one more of many costs: they share QEMU's code, and what of the template they have not changed.
  void memory_of_many() {
    constexpr int kCount = 10;
    std::vector<std::unique_ptr<Sandbox>> all;
    std::vector<PipeEnds> pipes;
    long sum = 0;
    for (int i = 0; i < kCount; ++i) {
      keeper_->await_stock(1);
      std::filesystem::path scratch = folder_ / fmt::format("scratch-{}", i);
      make_scratch();
      std::filesystem::rename(scratch_, scratch);
      pipes.push_back(make_pipes());
      SandboxSpec spec = sandbox_spec(make_spec(shell("echo ready; exec sleep 1000")), std::move(pipes.back().theirs));
      spec.id += fmt::format("-{}", i);
      spec.rootfs[1].source = scratch;
      all.push_back(VmIsolation(configuration()).create(std::move(spec)));
      all.back()->start();
      read_until(pipes.back().ours.out.get(), "ready");
    }
    for (int i = 0; i < kCount; ++i) {
      pid_t pid = linux::Cgroup(fmt::format("/bulkhead/{}-{}", id_, i)).processes().front();
      std::string rollup = read_file(fmt::format("/proc/{}/smaps_rollup", pid));
      sum += std::stol(rollup.substr(rollup.find("\nPss:") + 5));
    }
    std::printf("memory, each of %d from the pool: Pss %ld kB\n", kCount, sum / kCount);
  }

  std::unique_ptr<KeeperProcess> keeper_;
  steady_clock::time_point last_;
  double last_processor_ = 0;
};

}  // namespace
}  // namespace bulkhead::sandbox

int main(int argc, char** argv) {
  bulkhead::sandbox::Measure().run(argc > 1 ? static_cast<unsigned>(std::atoi(argv[1])) : 10);  // NOLINT(cert-err34-c)
}
