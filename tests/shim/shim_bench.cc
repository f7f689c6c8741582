// What the shim costs: the life of one container through the Task API, step by step, against `crun run` of the same bundle,
// and the memory of a shim at rest. Usage: shim_bench [runs]. Needs root and busybox-static.
#include <fmt/format.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <functional>
#include <map>
#include <optional>
#include <vector>

#include "support/files.h"
#include "support/random.h"
#include "support/spawn.h"
#include "task/client.h"

namespace {

namespace fs = std::filesystem;
namespace task = bulkhead::task;
using Clock = std::chrono::steady_clock;

constexpr const char* kConfig = R"({"ociVersion":"1.1.0","root":{"path":"rootfs"},
"process":{"user":{"uid":0,"gid":0},"args":["/bin/@"],"env":["PATH=/bin"],"cwd":"/"},
"mounts":[{"destination":"/proc","type":"proc","source":"proc"},
{"destination":"/dev","type":"tmpfs","source":"tmpfs","options":["nosuid","mode=755"]}],
"linux":{"cgroupsPath":"/bulkhead-shim-bench/#","resources":{"pids":{"limit":100},"memory":{"limit":67108864}},
"namespaces":[{"type":"pid"},{"type":"mount"},{"type":"ipc"},{"type":"uts"},{"type":"network"}]}})";

class Bundle {
 public:
  explicit Bundle(const std::string& command)
      : id_("bench-" + bulkhead::random_hex(4)), path_(fs::temp_directory_path() / id_) {
    bulkhead::make_folders(path_ / "rootfs/bin");
    for (const char* name : {"proc", "dev"}) {
      bulkhead::make_folders(path_ / "rootfs" / name);
    }
    fs::copy_file("/bin/busybox", path_ / "rootfs/bin/busybox");
    for (const char* name : {"true", "sleep"}) {
      fs::create_symlink("busybox", path_ / "rootfs/bin" / name);
    }
    std::string config = kConfig;
    config.replace(config.find('@'), 1, command);
    config.replace(config.find('#'), 1, id_);
    std::ofstream(path_ / "config.json") << config;
  }
  ~Bundle() { fs::remove_all(path_); }
  const std::string& id() const { return id_; }
  const fs::path& path() const { return path_; }
  task::StartShimRequest request() const {
    return {.binary = SHIM_BINARY,
            .bundle = path_,
            .cache_folder = "/tmp/bulkhead-shim-bench-cache",
            .id = id_,
            .name_space = "bench",
            .log = ""};
  }

 private:
  std::string id_;
  fs::path path_;
};

class Timings {
 public:
  void measure(const std::string& step, const std::function<void()>& action) {
    auto before = Clock::now();
    action();
    times_[step].push_back(std::chrono::duration<double, std::milli>(Clock::now() - before).count());
  }
  void print() const {
    for (auto& [step, measured] : times_) {
      std::vector<double> times = measured;
      std::sort(times.begin(), times.end());
      fmt::print("{:28} median {:7.2f} ms   best {:7.2f} ms\n", step, times[times.size() / 2], times.front());
    }
  }

 private:
  std::map<std::string, std::vector<double>> times_;
};

void run_through_shim(const Bundle& bundle, Timings& timings) {
  timings.measure("shim: the whole life", [&] {
    std::optional<task::Client> client;
    fs::path socket;
    const std::string& id = bundle.id();
    timings.measure("shim: 1 start_shim", [&] { socket = task::start_shim(bundle.request()); });
    timings.measure("shim: 2 connect", [&] { client.emplace(socket); });
    timings.measure("shim: 3 create", [&] {
      client->create(
          {.id = id,
           .bundle = bundle.path(),
           .rootfs = {},
           .stdio = {.in = "", .out = "json-file://" + (bundle.path() / "log").native(), .err = "", .terminal = false}});
    });
    timings.measure("shim: 4 start", [&] { client->start(id, ""); });
    timings.measure("shim: 5 wait", [&] { client->wait(id, ""); });
    timings.measure("shim: 6 remove", [&] { client->remove(id, ""); });
    timings.measure("shim: 7 shutdown", [&] { client->shutdown(id); });
  });
}

void run_crun(const Bundle& bundle) {
  pid_t pid = bulkhead::spawn({.program = "crun",
                               .arguments = {"crun", "run", "--bundle", bundle.path().native(), bundle.id()},
                               .folder = {},
                               .out = STDOUT_FILENO,
                               .err = STDERR_FILENO});
  int status = 0;
  ::waitpid(pid, &status, 0);
}

void print_memory() {
  Bundle bundle("sleep\",\"100");
  task::Client client(task::start_shim(bundle.request()));
  pid_t init = client.create({.id = bundle.id(), .bundle = bundle.path(), .rootfs = {}, .stdio = {}});
  client.start(bundle.id(), "");
  std::string stat = bulkhead::read_file(fmt::format("/proc/{}/stat", init));
  std::string parent = stat.substr(stat.rfind(')') + 4);
  parent = parent.substr(0, parent.find(' '));
  std::ifstream rollup(fmt::format("/proc/{}/smaps_rollup", parent));
  for (std::string line; std::getline(rollup, line);) {
    if (line.starts_with("Pss:") || line.starts_with("Rss:") || line.starts_with("Private_Dirty:")) {
      fmt::print("a shim at rest: {}\n", line);
    }
  }
  task::delete_shim(bundle.request());
}

}  // namespace

int main(int argc, char** argv) {
  int runs = argc > 1 ? std::stoi(argv[1]) : 50;
  Timings timings;
  Bundle bundle("true");
  for (int i = 0; i < runs; ++i) {
    run_through_shim(bundle, timings);
    timings.measure("crun run", [&] { run_crun(bundle); });
  }
  timings.print();
  print_memory();
  return 0;
}
