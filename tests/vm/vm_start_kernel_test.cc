// The quick ways to a VM: clones of a template and VMs that wait. What a container is told by them, and what is left on the
// host.
#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <set>
#include <sstream>
#include <thread>

#include "jail_matchers.h"
#include "keeper_fixture.h"
#include "linux/cgroup.h"
#include "sandbox/vm/accelerator.h"
#include "support/error.h"
#include "support/files.h"
#include "support/scope_guard.h"
#include "vm_fixture.h"

namespace bulkhead::sandbox {
namespace {

using std::chrono::steady_clock;
using testing::HasSubstr;
using vm::Start;

double milliseconds_since(steady_clock::time_point start) {
  return std::chrono::duration<double, std::milli>(steady_clock::now() - start).count();
}

pid_t parent_of(pid_t pid) {
  std::string status = read_file(fmt::format("/proc/{}/status", pid));
  return std::stoi(status.substr(status.find("PPid:") + 5));
}

class VmStartTest : public VmTest {
 protected:
  /// A keeper makes VMs for as long as it lives, and writes to the folder that is removed here.
  void TearDown() override {
    keeper_.reset();
    VmTest::TearDown();
  }
  void start_keeper(unsigned warm) {
    keeper_ = std::make_unique<KeeperProcess>(configuration(), folder_ / "cache", id_, warm);
    keeper_->await_stock(warm);
  }
  std::unique_ptr<Sandbox> create_by(Start start, oci::Spec spec, ProcessIo io) {
    vm::Configuration with = configuration();
    with.start = start;
    return VmIsolation(with).create(sandbox_spec(std::move(spec), std::move(io)));
  }
  /// One that has said "ready" and sleeps.
  std::unique_ptr<Sandbox> start_sleeper_by(Start start) {
    PipeEnds pipes = make_pipes();
    auto sandbox = create_by(start, make_spec(shell("echo ready; sleep 1000")), std::move(pipes.theirs));
    sandbox->start();
    sleepers_ = std::move(pipes.ours);
    read_until(sleepers_.out.get(), "ready");
    return sandbox;
  }
  /// Disks are copies of one from here on, as an engine's are.
  void start_preparing_keeper(unsigned warm) {
    blank_ = folder_ / "blank";
    std::filesystem::rename(scratch_, blank_);
    copy_blank();
    keeper_ = std::make_unique<KeeperProcess>(configuration(), folder_ / "cache", id_, warm, blank_);
    keeper_->await_stock(warm);
  }
  void copy_blank() { output_of(fmt::format("cp --sparse=always {} {}", blank_.native(), scratch_.native())); }
  ExitStatus run_by(Start start, oci::Spec spec, std::string& output) {
    PipeEnds pipes = make_pipes();
    auto begin = steady_clock::now();
    auto sandbox = create_by(start, std::move(spec), std::move(pipes.theirs));
    double created = milliseconds_since(begin);
    sandbox->start();
    double started = milliseconds_since(begin);
    output = read_to_end(pipes.ours.out.get());
    ExitStatus status = await_exit(*sandbox, sandbox->init());
    double ended = milliseconds_since(begin);
    sandbox->destroy();
    std::printf("created %.0f, started %.0f, ended %.0f, destroyed %.0f ms\n", created, started, ended,
                milliseconds_since(begin));
    return status;
  }
  pid_t qemu() const { return linux::Cgroup("/bulkhead/" + id_).processes().front(); }
  bool is_keepers(pid_t pid) const { return parent_of(pid) == keeper_->pid(); }

  std::unique_ptr<KeeperProcess> keeper_;
  std::filesystem::path blank_;
  Streams sleepers_;  // held open
};

const char* const kAboutMe = "echo $0 $A $HOME; hostname; id -u; cat /etc/hosts 2>/dev/null; cat /file; echo kept > /file";

oci::Spec about_me(const std::string& a) {
  oci::Spec spec = make_spec(shell(kAboutMe));
  spec.process.args.push_back("name-" + a);
  spec.process.env.push_back("A=" + a);
  spec.hostname = "host-" + a;
  return spec;
}

TEST_F(VmStartTest, ACloneRunsACommand) {
  start_keeper(0);
  std::string output;
  for (int i = 0; i < 2; ++i) {
    make_scratch();
    ExitStatus status = run_by(Start::kClone, make_spec(shell("echo x > /file; cat /file; hostname; id -u; exit 7")), output);
    EXPECT_EQ(status.code, 7) << status.error;
    EXPECT_EQ(output, "x\nin-a-vm\n0\n");
  }
}

TEST_F(VmStartTest, AWaitingVmRunsACommand) {
  start_keeper(1);
  for (int i = 0; i < 2; ++i) {
    make_scratch();
    keeper_->await_stock(1);
    PipeEnds pipes = make_pipes();
    auto sandbox =
        create_by(Start::kPool, make_spec(shell("echo x > /file; cat /file; hostname; read l")), std::move(pipes.theirs));
    EXPECT_TRUE(is_keepers(qemu()));
    sandbox->start();
    EXPECT_EQ(read_until(pipes.ours.out.get(), "in-a-vm\n"), "x\nin-a-vm\n");
    write_all(pipes.ours.in.get(), "\n");
    EXPECT_EQ(await_exit(*sandbox, sandbox->init()).code, 0);
    sandbox->destroy();
  }
  std::string output;
  make_scratch();
  keeper_->await_stock(1);
  EXPECT_EQ(run_by(Start::kPool, make_spec({"/bin/true"}), output).code, 0);
}

/// Each way's container was created before anybody asked for it; another container's spec was the pattern.
class PreparedTest : public VmStartTest, public testing::WithParamInterface<Start> {};

TEST_P(PreparedTest, AContainerThatWasCreatedForAnotherIsTheOwnOfWhoGetsIt) {
  start_preparing_keeper(1);
  std::string output;
  std::filesystem::path hosts = folder_ / "hosts";
  oci::Spec first = about_me("first");
  oci::Spec second = about_me("second");
  for (oci::Spec* spec : {&first, &second}) {
    spec->mounts.push_back({.destination = "/etc/hosts", .type = "bind", .source = hosts, .options = {"rbind"}});
  }
  replace_file(hosts, "10.0.0.1 first\n", 0644, Durability::kUnsynced);
  EXPECT_EQ(run_by(GetParam(), first, output).code, 0);
  EXPECT_THAT(output, HasSubstr("name-first first"));
  keeper_->await_stock(1, 2);
  copy_blank();
  replace_file(hosts, "10.0.0.2 second\n", 0644, Durability::kUnsynced);
  EXPECT_EQ(run_by(GetParam(), second, output).code, 0);
  EXPECT_THAT(output, testing::StartsWith("name-second second"));
  EXPECT_THAT(output, HasSubstr("\nhost-second\n0\n10.0.0.2 second\n"));
  EXPECT_THAT(output, testing::Not(HasSubstr("first")));
  EXPECT_THAT(output, testing::Not(HasSubstr("kept")));
  // The disk that it came with is its own from then on.
  EXPECT_EQ(run_by(GetParam(), second, output).code, 0);
  EXPECT_THAT(output, HasSubstr("kept"));
}

TEST_P(PreparedTest, AContainerOfAnotherKindGetsNoneOfThem) {
  start_preparing_keeper(1);
  std::string output;
  EXPECT_EQ(run_by(GetParam(), about_me("first"), output).code, 0);
  keeper_->await_stock(1, 2);
  copy_blank();
  oci::Spec limited = about_me("second");
  limited.process.user.uid = 7;
  limited.linux_.resources.pids_limit = 50;
  EXPECT_EQ(run_by(GetParam(), limited, output).code, 1);  // uid 7 can't write /file
  EXPECT_THAT(output, HasSubstr("host-second\n7\n"));
}

TEST_P(PreparedTest, ADiskOfItsOwnSizeKeepsIt) {
  start_preparing_keeper(1);
  std::string output;
  oci::Spec spec = make_spec(shell("df -k / | tail -1 | awk '{print $2}'"));
  EXPECT_EQ(run_by(GetParam(), spec, output).code, 0);
  keeper_->await_stock(1, 2);
  output_of(fmt::format("rm -f {0} && truncate -s 64G {0} && mkfs.ext4 -q -F {0} 1G", scratch_.native()));
  EXPECT_EQ(run_by(GetParam(), spec, output).code, 0);
  EXPECT_LT(std::stol(output), 1L << 20);
}

INSTANTIATE_TEST_SUITE_P(Ways, PreparedTest, testing::Values(Start::kClone, Start::kPool));

TEST_F(VmStartTest, WithoutAKeeperAVmIsBooted) {
  std::string output;
  EXPECT_EQ(run_by(Start::kPool, make_spec({"/bin/true"}), output).code, 0);
}

TEST_F(VmStartTest, FilesSurviveAnotherKindOfStart) {
  start_keeper(1);
  std::string output;
  EXPECT_EQ(run_by(Start::kPool, make_spec(shell("echo kept > /file")), output).code, 0);
  EXPECT_EQ(run_by(Start::kClone, make_spec(shell("cat /file; echo more >> /file")), output).code, 0);
  EXPECT_EQ(output, "kept\n");
  EXPECT_EQ(run_by(Start::kCold, make_spec(shell("cat /file")), output).code, 0);
  EXPECT_EQ(output, "kept\nmore\n");
}

TEST_F(VmStartTest, ADiskOfAnotherSizeIsBootedCold) {
  start_keeper(1);
  ASSERT_EQ(::truncate(scratch_.c_str(), 20L << 30), 0);
  PipeEnds pipes = make_pipes();
  auto sandbox = create_by(Start::kPool, make_spec(shell("cat /sys/block/vdb/size")), std::move(pipes.theirs));
  EXPECT_FALSE(is_keepers(qemu()));
  sandbox->start();
  EXPECT_EQ(read_to_end(pipes.ours.out.get()), fmt::format("{}\n", (20L << 30) / 512));
}

/// 20 at once, in the way `start`; what each tells of itself.
class SiblingsTest : public VmStartTest, public testing::WithParamInterface<Start> {};

TEST_P(SiblingsTest, HaveNothingInCommonThatShouldBeRandom) {
  constexpr int kCount = 20;
  start_keeper(GetParam() == Start::kPool ? kCount / 4 : 0);
  const char* script =
      "cd /proc/sys/kernel/random; cat uuid uuid boot_id; dd if=/dev/urandom bs=16 count=2 2>/dev/null | od -An -tx1; "
      "mktemp -u XXXXXXXXXXXXXXXX; sed -n 's/^\\([0-9a-f]*-[0-9a-f]*\\).*stack.*/\\1/p' /proc/self/maps; date +%s";
  std::vector<std::string> outputs(kCount);
  std::vector<std::thread> threads;
  threads.reserve(kCount);
  auto before = ::time(nullptr);
  for (int i = 0; i < kCount; ++i) {
    threads.emplace_back([&, i] {
      SandboxSpec spec = sandbox_spec(make_spec(shell(script)), {});
      spec.id += fmt::format("-{}", i);
      spec.state_folder = folder_ / fmt::format("state-{}", i);
      make_folders(spec.state_folder, 0700);
      std::filesystem::path scratch = folder_ / fmt::format("scratch-{}", i);
      output_of(fmt::format("cp --sparse=always {} {}", scratch_.native(), scratch.native()));
      spec.rootfs[1].source = scratch;
      PipeEnds pipes = make_pipes();
      spec.io = std::move(pipes.theirs);
      vm::Configuration with = configuration();
      with.start = GetParam();
      try {
        auto sandbox = VmIsolation(with).create(std::move(spec));
        sandbox->start();
        outputs[static_cast<size_t>(i)] = read_to_end(pipes.ours.out.get());
        await_exit(*sandbox, sandbox->init());
      } catch (const std::exception& error) {
        ADD_FAILURE() << error.what();
      }
    });
  }
  std::for_each(threads.begin(), threads.end(), [](std::thread& thread) { thread.join(); });
  auto after = ::time(nullptr);
  std::set<std::string> seen;
  for (const std::string& output : outputs) {
    std::istringstream lines(output);
    std::string line;
    for (int i = 0; i < 7; ++i) {
      ASSERT_TRUE(std::getline(lines, line)) << output;
      EXPECT_GT(line.size(), 15U) << output;
      EXPECT_TRUE(seen.insert(line).second) << line << " twice";
    }
    ASSERT_TRUE(std::getline(lines, line)) << output;
    EXPECT_GE(std::stol(line), before);
    EXPECT_LE(std::stol(line), after);
  }
}

INSTANTIATE_TEST_SUITE_P(Ways, SiblingsTest, testing::Values(Start::kClone, Start::kPool));

TEST_F(VmStartTest, NobodyCanWriteToATemplate) {
  start_keeper(0);
  vm::Configuration with = vm::with_built_in_kernel(configuration());
  vm::MachineShape shape{.accelerator = vm::choose_accelerator({}).accelerator, .memory = with.default_memory};
  auto answer = vm::ask_keeper(keeper_->socket(), vm::make_request(with, shape, vm::Wanted::kTemplate));
  ASSERT_TRUE(std::holds_alternative<vm::Template>(answer));
  auto& saved = std::get<vm::Template>(answer);
  for (const UniqueFd* file : {&saved.memory, &saved.devices}) {
    EXPECT_EQ(::pwrite(file->get(), "x", 1, 4096), -1);
    EXPECT_EQ(errno, EPERM);
    EXPECT_EQ(::ftruncate(file->get(), 0), -1);
    EXPECT_EQ(::mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, file->get(), 0), MAP_FAILED);
    UniqueFd again(::open(fmt::format("/proc/self/fd/{}", file->get()).c_str(), O_RDWR | O_CLOEXEC));
    EXPECT_EQ(::pwrite(again.get(), "x", 1, 4096), -1);
  }
  std::string before = output_of(fmt::format("sha256sum < /proc/{}/fd/{}", ::getpid(), saved.memory.get()));
  std::string output;
  EXPECT_EQ(run_by(Start::kClone, make_spec(shell("dd if=/dev/zero of=/tmp/x bs=1M count=20 2>/dev/null")), output).code, 0);
  EXPECT_EQ(output_of(fmt::format("sha256sum < /proc/{}/fd/{}", ::getpid(), saved.memory.get())), before);
}

TEST_F(VmStartTest, ACloneIsJailed) {
  start_keeper(0);
  auto sandbox = start_sleeper_by(Start::kClone);
  expect_jailed(qemu(), "lib\nlib64\nproc\nshares\nusr\n");
}

TEST_F(VmStartTest, WaitingVmsAreJailedEachAsAUserOfItsOwn) {
  start_keeper(2);
  std::vector<pid_t> waiting = linux::Cgroup(keeper_->cgroup()).processes();
  ASSERT_EQ(waiting.size(), 2U);
  std::set<std::string> users;
  for (pid_t pid : waiting) {
    expect_jailed(pid, "lib\nlib64\nproc\nshares\nusr\n");
    std::string status = read_file(fmt::format("/proc/{}/status", pid));
    users.insert(status.substr(status.find("Uid:"), 20));
  }
  EXPECT_EQ(users.size(), 2U);
  auto sandbox = start_sleeper_by(Start::kPool);
  expect_jailed(qemu(), "lib\nlib64\nproc\nshares\nusr\n");
  // Of the throw-away disks nothing is open any more, and the container's disk alone may be written.
  std::string files = output_of(fmt::format("ls -l /proc/{}/fd", qemu()));
  EXPECT_THAT(files, HasSubstr("scratch.ext4"));
  EXPECT_THAT(files, HasSubstr("image.erofs"));
  EXPECT_THAT(files, testing::Not(HasSubstr("bulkhead-disk")));
}

TEST_F(VmStartTest, BindMountsMakeAClone) {
  start_keeper(1);
  make_folders(folder_ / "shared");
  oci::Spec spec = make_spec(shell("echo from-guest > /w/file"));
  spec.mounts.push_back({.destination = "/w", .type = "bind", .source = folder_ / "shared", .options = {"rbind", "rw"}});
  std::string output;
  EXPECT_EQ(run_by(Start::kPool, spec, output).code, 0);
  EXPECT_EQ(read_file(folder_ / "shared/file"), "from-guest\n");
}

TEST_F(VmStartTest, AKilledKeeperLeavesNoVmAndTheNextWayIsTaken) {
  start_keeper(1);
  PipeEnds pipes = make_pipes();
  auto sandbox = create_by(Start::kPool, make_spec(shell("echo ready; read l; echo $l")), std::move(pipes.theirs));
  keeper_->await_stock(1);
  std::string group = keeper_->cgroup();
  keeper_->kill();
  for (int i = 0; i < 600 && !linux::Cgroup(group).processes().empty(); ++i) {
    ::usleep(50'000);
  }
  EXPECT_TRUE(linux::Cgroup(group).processes().empty()) << "a VM waits for a keeper that is gone";
  // What was given away goes on.
  sandbox->start();
  read_until(pipes.ours.out.get(), "ready\n");
  write_all(pipes.ours.in.get(), "alive\n");
  EXPECT_EQ(read_to_end(pipes.ours.out.get()), "alive\n");
  EXPECT_EQ(await_exit(*sandbox, sandbox->init()).code, 0);
  sandbox->destroy();
  std::string output;
  EXPECT_EQ(run_by(Start::kPool, make_spec({"/bin/true"}), output).code, 0);
  linux::Cgroup(group).remove();
}

TEST_F(VmStartTest, AKeeperEndsWithItsEngine) {
  start_keeper(1);
  std::string group = keeper_->cgroup();
  EXPECT_EQ(keeper_->end(), 0);
  EXPECT_EQ(output_of("find /sys/fs/cgroup -name '*" + id_ + "-keeper*'"), "");
  // Compiled filters are the instance's.
  EXPECT_EQ(output_of("ls " + (folder_ / "cache").native() + " | grep -v '^seccomp-'"), "");
}

TEST_F(VmStartTest, AVmThatDiedWaitingIsPassedOver) {
  start_keeper(2);
  ::kill(linux::Cgroup(keeper_->cgroup()).processes().front(), SIGKILL);
  std::string output;
  EXPECT_EQ(run_by(Start::kPool, make_spec(shell("echo fine")), output).code, 0);
  EXPECT_EQ(output, "fine\n");
}

TEST_F(VmStartTest, OfAVmThatEndsNoMoreIsSaidThanIsKnown) {
  start_keeper(1);
  auto sandbox = start_sleeper_by(Start::kPool);
  ASSERT_TRUE(is_keepers(qemu()));
  ::kill(qemu(), SIGKILL);  // its parent alone is told by what it ended
  ExitStatus status = await_exit(*sandbox, sandbox->init());
  EXPECT_EQ(status.code, 255);
  EXPECT_THAT(status.error, HasSubstr("it was killed, or failed"));
}

TEST_F(VmStartTest, VmsThatHangWaitingAreNotWaitedForOneByOne) {
  start_keeper(3);
  std::vector<pid_t> waiting = linux::Cgroup(keeper_->cgroup()).processes();
  ASSERT_EQ(waiting.size(), 3U);
  auto hang = [&](int signal) { std::for_each(waiting.begin(), waiting.end(), [&](pid_t pid) { ::kill(pid, signal); }); };
  hang(SIGSTOP);
  auto go_on = ScopeGuard([&] { hang(SIGCONT); });
  std::string output;
  auto begin = steady_clock::now();
  EXPECT_EQ(run_by(Start::kPool, make_spec(shell("echo fine")), output).code, 0);
  EXPECT_EQ(output, "fine\n");
  // An engine waits a minute for a start. Here: for one of them, 10 s, and for a clone or a boot.
  EXPECT_LT(milliseconds_since(begin), 30'000);
}

TEST_F(VmStartTest, AChangedAgentMakesAnotherTemplate) {
  vm::Configuration with = configuration();
  std::filesystem::path copy = folder_ / "initramfs";
  std::filesystem::copy_file(with.initramfs, copy);
  with.initramfs = copy;
  vm::MachineShape shape{.accelerator = vm::choose_accelerator({}).accelerator, .memory = with.default_memory};
  std::string key = vm::make_request(with, shape, vm::Wanted::kWarm).key;
  std::filesystem::copy_file(configuration().initramfs, folder_ / "new");
  std::filesystem::rename(folder_ / "new", copy);
  EXPECT_NE(vm::make_request(with, shape, vm::Wanted::kWarm).key, key);
}

}  // namespace
}  // namespace bulkhead::sandbox
