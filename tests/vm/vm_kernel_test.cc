// hyperv isolation through the seam, with real VMs: what the container sees, and what is left on the host.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <sstream>
#include <thread>

#include "jail_matchers.h"
#include "linux/cgroup.h"
#include "support/error.h"
#include "support/files.h"
#include "support/scope_guard.h"
#include "vm_fixture.h"

namespace bulkhead::sandbox {
namespace {

using std::chrono::steady_clock;
using testing::HasSubstr;
using testing::ThrowsMessage;

double milliseconds_since(steady_clock::time_point start) {
  return std::chrono::duration<double, std::milli>(steady_clock::now() - start).count();
}

TEST_F(VmTest, RunsACommandOnAKernelOfItsOwn) {
  auto start = steady_clock::now();
  std::string output;
  ExitStatus status = run(make_spec(shell("uname -r; cat /proc/sys/kernel/random/boot_id; hostname; id -u; exit 7")), output);
  std::printf("cold boot, run, destroy: %.0f ms\n", milliseconds_since(start));
  EXPECT_EQ(status.code, 7);
  EXPECT_EQ(status.error, "");
  utsname host{};
  ::uname(&host);
  EXPECT_THAT(output, testing::Not(HasSubstr(host.release)));
  EXPECT_THAT(output, testing::Not(HasSubstr(read_file("/proc/sys/kernel/random/boot_id"))));
  EXPECT_THAT(output, HasSubstr("in-a-vm\n0\n"));
}

TEST_F(VmTest, RefusesWhatAnotherKernelCantShare) {
  oci::Spec shared = make_spec(shell("true"));
  std::erase_if(shared.linux_.namespaces, [](const oci::Namespace& each) { return each.type == "pid"; });
  EXPECT_THAT([&] { create(shared, {}); }, ThrowsMessage<Error>(HasSubstr("host's pid namespace")));
  oci::Spec joined = make_spec(shell("true"));
  joined.linux_.namespaces[2].path = "/proc/self/ns/ipc";
  EXPECT_THAT([&] { create(joined, {}); }, ThrowsMessage<Error>(HasSubstr("ipc namespace '/proc/self/ns/ipc'")));
}

TEST_F(VmTest, SaysWhatIsMissing) {
  vm::Configuration without = configuration();
  without.kernel = without.emulated_kernel = "/nowhere/vmlinux";
  EXPECT_THAT([&] { VmIsolation(without).probe(); }, ThrowsMessage<Error>(HasSubstr("a guest kernel at '/nowhere/vmlinux'")));
  without = configuration();
  without.qemu = "/nowhere/qemu";
  EXPECT_THAT([&] { VmIsolation(without).create(sandbox_spec(make_spec(shell("true")), {})); },
              ThrowsMessage<Error>(HasSubstr("qemu-system-x86")));
}

TEST_F(VmTest, CommandThatIsNotThere) {
  auto sandbox = create(make_spec({"/bin/nothing"}), {});
  try {
    sandbox->start();
    FAIL() << "started";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kCommandNotFound) << error.message();
  }
}

TEST_F(VmTest, ExecSignalAndStreams) {
  PipeEnds pipes = make_pipes();
  auto sandbox = create(make_spec(shell("echo ready; exec sleep 1000")), std::move(pipes.theirs));
  sandbox->start();
  read_until(pipes.ours.out.get(), "ready");

  PipeEnds exec_pipes = make_pipes();
  auto start = steady_clock::now();
  auto& one = sandbox->exec("one", make_process(shell("cat; echo to-error >&2; exit 3")), std::move(exec_pipes.theirs));
  std::printf("first exec: %.1f ms\n", milliseconds_since(start));
  std::string text(1 << 20, 'x');
  std::thread writer([&, in = std::move(exec_pipes.ours.in)] { write_all(in.get(), text); });
  EXPECT_EQ(read_to_end(exec_pipes.ours.out.get()), text);
  writer.join();
  EXPECT_EQ(read_to_end(exec_pipes.ours.err.get()), "to-error\n");
  EXPECT_EQ(await_exit(*sandbox, one, "one").code, 3);

  start = steady_clock::now();
  auto& two = sandbox->exec("two", make_process({"/bin/true"}), {});
  EXPECT_EQ(await_exit(*sandbox, two, "two").code, 0);
  std::printf("exec of true, no streams: %.1f ms\n", milliseconds_since(start));
  EXPECT_THROW(sandbox->exec("three", make_process({"/bin/nothing"}), {}), Error);

  sandbox->signal("", SIGKILL, SignalScope::kProcess);
  EXPECT_EQ(await_exit(*sandbox, sandbox->init()).code, 128 + SIGKILL);
  EXPECT_THROW(sandbox->signal("", SIGTERM, SignalScope::kProcess), Error);
  sandbox->destroy();
}

TEST_F(VmTest, OutputWaitsForItsReader) {
  PipeEnds pipes = make_pipes();
  auto sandbox = create(make_spec(shell("dd if=/dev/zero bs=1M count=8 2>/dev/null; echo done >&2")), std::move(pipes.theirs));
  sandbox->start();
  pollfd finished{.fd = pipes.ours.err.get(), .events = POLLIN, .revents = 0};
  EXPECT_EQ(::poll(&finished, 1, 1000), 0) << "the process wrote 8 MB though nobody read";
  EXPECT_EQ(read_to_end(pipes.ours.out.get()).size(), 8U << 20);
  EXPECT_EQ(await_exit(*sandbox, sandbox->init()).code, 0);
}

/// The guest's agent has 1024 descriptors and a few for each copy.
TEST_F(VmTest, CopiesThatNobodyReadsToTheEndLeaveNothing) {
  auto sandbox = create(make_spec(shell("dd if=/dev/zero of=/part bs=1k count=100 2>/dev/null; echo made; sleep 300")), {});
  sandbox->start();
  constexpr int kRounds = 12;
  constexpr int kAtOnce = 50;
  for (int round = 0; round < kRounds; ++round) {
    std::vector<std::unique_ptr<FileWork>> works;
    std::vector<UniqueFd> ours;
    for (int i = 0; i < kAtOnce; ++i) {
      int ends[2] = {-1, -1};
      ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
      ours.emplace_back(ends[0]);
      int little = 4096;  // so that a part is left in the guest, which has room for all of it
      ASSERT_EQ(::setsockopt(ends[1], SOL_SOCKET, SO_SNDBUF, &little, sizeof(little)), 0);
      works.push_back(
          sandbox->work_on_files({.kind = archive::FileRequest::Kind::kPack, .path = "/part", .owner = {}}, UniqueFd(ends[1])));
    }
    ::usleep(50'000);  // by now the works have ended
    ours.clear();
    for (const auto& work : works) {
      pollfd done{.fd = work->descriptor(), .events = POLLIN, .revents = 0};
      ASSERT_EQ(::poll(&done, 1, 10'000), 1);
    }
  }
  std::unique_ptr<FileWork> last =
      sandbox->work_on_files({.kind = archive::FileRequest::Kind::kStat, .path = "/part", .owner = {}}, {});
  pollfd done{.fd = last->descriptor(), .events = POLLIN, .revents = 0};
  ASSERT_EQ(::poll(&done, 1, 10'000), 1);
  EXPECT_EQ(last->result().size, 100U << 10);
  last.reset();
  sandbox->destroy();
}

TEST_F(VmTest, Terminal) {
  oci::Spec spec = make_spec(shell("stty size; tty; read line; echo got $line; stty size"));
  spec.process.terminal = true;
  spec.process.console_size = oci::ConsoleSize{.height = 40, .width = 120};
  auto sandbox = create(std::move(spec), {});
  UniqueFd console = std::move(sandbox->init().console);
  ASSERT_TRUE(console);
  sandbox->start();
  EXPECT_THAT(read_until(console.get(), "/dev/"), HasSubstr("40 120"));
  sandbox->resize("", 50, 100);
  write_all(console.get(), "hello\n");
  std::string rest = read_to_end(console.get());
  EXPECT_THAT(rest, HasSubstr("got hello"));
  EXPECT_THAT(rest, HasSubstr("50 100"));
  EXPECT_EQ(await_exit(*sandbox, sandbox->init()).code, 0);
}

TEST_F(VmTest, FilesSurviveARestart) {
  std::string output;
  EXPECT_EQ(run(make_spec(shell("echo kept > /file; ln -s /file /link; chown 5:6 /file")), output).code, 0);
  EXPECT_EQ(run(make_spec(shell("cat /link; stat -c %u:%g /file")), output).code, 0);
  EXPECT_EQ(output, "kept\n5:6\n");
}

TEST_F(VmTest, LimitsHoldInside) {
  oci::Spec spec = make_spec(shell("cat /sys/fs/cgroup/memory.max 2>/dev/null; tail /dev/zero"));
  spec.linux_.resources.memory_limit = 64 << 20;
  spec.linux_.resources.memory_swap = 64 << 20;
  spec.linux_.resources.pids_limit = 20;
  PipeEnds pipes = make_pipes();
  auto sandbox = create(std::move(spec), std::move(pipes.theirs));
  Statistics statistics = sandbox->statistics();
  EXPECT_EQ(statistics.memory_limit, 64U << 20);
  EXPECT_EQ(statistics.pids_limit, 20U);
  sandbox->start();
  ExitStatus status = await_exit(*sandbox, sandbox->init());
  EXPECT_EQ(status.code, 128 + SIGKILL);
  EXPECT_TRUE(status.out_of_memory);
}

/// Of QEMU, by the host: quota and period.
std::string processor_limit(const std::string& id) {
  return output_of(
      "find /sys/fs/cgroup -path '*/bulkhead/" + id +
      "/*' '(' -name cpu.max -o -name cpu.cfs_quota_us -o -name cpu.cfs_period_us ')' | sort -r | xargs cat | xargs");
}

TEST_F(VmTest, TheHostHoldsTheGuestToItsProcessorTime) {
  oci::Spec spec = make_spec(shell("sleep 1000"));
  spec.linux_.resources.cpu_quota = 25'000;
  spec.linux_.resources.cpu_period = 50'000;
  auto sandbox = create(std::move(spec), {});
  sandbox->start();
  EXPECT_EQ(processor_limit(id_), "50000 50000\n");
  oci::Resources more;
  more.cpu_quota = 40'000;
  sandbox->update(more);
  EXPECT_EQ(processor_limit(id_), "65000 50000\n");
  sandbox->destroy();
}

TEST_F(VmTest, PauseStopsTheMachine) {
  PipeEnds pipes = make_pipes();
  auto sandbox = create(make_spec(shell("while :; do echo tick; sleep 0.05; done")), std::move(pipes.theirs));
  sandbox->start();
  read_until(pipes.ours.out.get(), "tick");
  sandbox->pause();
  EXPECT_THROW(sandbox->exec("one", make_process({"/bin/true"}), {}), Error);
  pollfd ready{.fd = pipes.ours.out.get(), .events = POLLIN, .revents = 0};
  while (::poll(&ready, 1, 300) == 1) {  // what was on its way
    std::array<char, 4096> bytes;
    ASSERT_GT(::read(pipes.ours.out.get(), bytes.data(), bytes.size()), 0);
  }
  sandbox->resume();
  read_until(pipes.ours.out.get(), "tick");
  sandbox->pause();
  sandbox->signal("", SIGKILL, SignalScope::kProcess);  // a paused container can be killed
  EXPECT_EQ(await_exit(*sandbox, sandbox->init()).code, 128 + SIGKILL);
}

TEST_F(VmTest, GuestPanicIsReported) {
  oci::Spec spec = make_spec(shell("echo alive; sleep 0.2; echo c > /proc/sysrq-trigger; sleep 100"));
  PipeEnds pipes = make_pipes();
  auto sandbox = create(std::move(spec), std::move(pipes.theirs));
  sandbox->start();
  ExitStatus status = await_exit(*sandbox, sandbox->init());
  EXPECT_EQ(status.code, 255);
  EXPECT_THAT(status.error, HasSubstr("guest's kernel panicked"));
  sandbox->destroy();
}

TEST_F(VmTest, KilledQemuIsReportedAndNothingIsLeft) {
  PipeEnds pipes = make_pipes();
  auto sandbox = create(make_spec(shell("echo ready; sleep 1000")), std::move(pipes.theirs));
  sandbox->start();
  read_until(pipes.ours.out.get(), "ready");
  std::vector<pid_t> qemu = linux::Cgroup("/bulkhead/" + id_).processes();
  ASSERT_FALSE(qemu.empty());
  ::kill(qemu.front(), SIGKILL);
  ExitStatus status = await_exit(*sandbox, sandbox->init());
  EXPECT_EQ(status.code, 255);
  EXPECT_EQ(status.error, "QEMU was killed by signal 9");
  sandbox->destroy();
  EXPECT_EQ(output_of("find /sys/fs/cgroup -name '*" + id_ + "*'; ls " + (folder_ / "state").native()), "");
  EXPECT_EQ(output_of("grep " + id_ + " /proc/self/mounts"), "");
}

TEST_F(VmTest, QemuIsJailed) {
  PipeEnds pipes = make_pipes();
  auto sandbox = create(make_spec(shell("echo ready; sleep 1000")), std::move(pipes.theirs));
  sandbox->start();
  read_until(pipes.ours.out.get(), "ready");
  pid_t qemu = linux::Cgroup("/bulkhead/" + id_).processes().front();
  std::string proc = fmt::format("/proc/{}", qemu);
  expect_jailed(qemu, "initramfs\nkernel\nlib\nlib64\nproc\nshares\nusr\n");
  // Open files: nothing of the host but the two disks, and the container's disk alone may be written.
  std::string files = output_of("ls -l " + proc + "/fd | grep -v '/dev/null\\|socket:\\|anon_inode\\|pipe:'");
  EXPECT_THAT(files, HasSubstr("scratch.ext4"));
  EXPECT_THAT(files, HasSubstr("image.erofs"));
}

/// As the engine makes it: a namespace with one end of a veth, named eth0; here the other end is in a namespace too.
std::string make_network(const std::string& id) {
  EXPECT_EQ(output_of(fmt::format(
                "(set -e; ip netns add {0}; ip netns add {0}h; ip link add {1} netns {0}h type veth peer name eth0 netns {0}; "
                "ip -n {0}h addr add 10.99.0.1/24 dev {1}; ip -n {0}h link set {1} up; "
                "ip -n {0} addr add 10.99.0.2/24 dev eth0; ip -n {0} link set eth0 up; ip -n {0} route add default via "
                "10.99.0.1) 2>&1",
                id, id.substr(0, 10))),
            "");
  return "/run/netns/" + id;
}

TEST_F(VmTest, NetworkOfAVeth) {
  std::string netns = make_network(id_);
  auto remove = ScopeGuard([&] { output_of(fmt::format("ip netns del {0}; ip netns del {0}h", id_)); });
  oci::Spec spec =
      make_spec(shell("ip addr show eth0; ip route; ping -c 2 -W 2 10.99.0.1; cat /etc/resolv.conf; nc -l -p 8080 -w 20"));
  spec.linux_.namespaces[1].path = netns;
  replace_file(folder_ / "resolv.conf", "nameserver 10.99.0.1\n", 0644, Durability::kUnsynced);
  spec.mounts.push_back(
      {.destination = "/etc/resolv.conf", .type = "bind", .source = folder_ / "resolv.conf", .options = {"rbind", "rw"}});
  PipeEnds pipes = make_pipes();
  auto sandbox = create(std::move(spec), std::move(pipes.theirs));
  sandbox->start();
  std::string output = read_until(pipes.ours.out.get(), "nameserver 10.99.0.1");
  std::string mac = output_of(fmt::format("ip -n {} -o link show eth0 | grep -o 'ether [0-9a-f:]*'", id_));
  mac.pop_back();
  EXPECT_THAT(output, HasSubstr(mac));
  EXPECT_THAT(output, HasSubstr("inet 10.99.0.2/24 brd 10.99.0.255"));
  EXPECT_THAT(output, HasSubstr("default via 10.99.0.1 dev eth0"));
  EXPECT_THAT(output, HasSubstr("2 packets received"));
  auto start = steady_clock::now();
  std::thread sender([&] {
    output_of(fmt::format(
        "sleep 0.3; dd if=/dev/zero bs=1M count=50 2>/dev/null | ip netns exec {}h busybox nc -w 5 10.99.0.2 8080", id_));
  });
  EXPECT_EQ(read_to_end(pipes.ours.out.get()).size(), 50U << 20);
  std::printf("50 MB into the guest: %.0f ms\n", milliseconds_since(start));
  sender.join();
  EXPECT_EQ(await_exit(*sandbox, sandbox->init()).code, 0);
  sandbox->destroy();
  // Nobody waits for it, but it happens.
  std::string left;
  for (int i = 0; i < 100 && (i == 0 || !left.empty()); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(i == 0 ? 0 : 50));
    left = output_of(fmt::format("ip -n {0} -o link | grep bulkhead; tc -n {0} qdisc show dev eth0 | grep ingress", id_));
  }
  EXPECT_EQ(left, "");
}

TEST_F(VmTest, ANetworkNamespaceIsOneVmsAlone) {
  std::string netns = make_network(id_);
  auto remove = ScopeGuard([&] { output_of(fmt::format("ip netns del {0}; ip netns del {0}h", id_)); });
  // What a shim leaves that was killed: packets are led to a link that has gone.
  ASSERT_EQ(
      output_of(fmt::format("(set -e; ip -n {0} link add gone type veth peer name too; tc -n {0} qdisc add dev eth0 ingress; "
                            "tc -n {0} filter add dev eth0 parent ffff: protocol all prio 1 u32 match u32 0 0 action mirred "
                            "egress redirect dev gone; ip -n {0} link del gone) 2>&1",
                            id_)),
      "");
  oci::Spec spec = make_spec(shell("ping -c 1 -W 2 10.99.0.1; read line; ping -c 1 -W 2 10.99.0.1"));
  spec.linux_.namespaces[1].path = netns;
  PipeEnds pipes = make_pipes();
  auto first = create(spec, std::move(pipes.theirs));
  first->start();
  EXPECT_THAT(read_until(pipes.ours.out.get(), "loss"), HasSubstr(" 0% packet loss"));
  SandboxSpec another = sandbox_spec(spec, {});
  another.id += "-2";
  another.spec.linux_.cgroups_path += "-2";
  another.state_folder = folder_ / "another-state";
  make_folders(another.state_folder);
  try {
    VmIsolation(configuration()).create(std::move(another));
    ADD_FAILURE() << "a second VM in the same network namespace";
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kConflict);
    EXPECT_THAT(error.message(), HasSubstr("another VM has this network"));
  }
  write_all(pipes.ours.in.get(), "\n");
  EXPECT_THAT(read_to_end(pipes.ours.out.get()), HasSubstr(" 0% packet loss"));
  first->destroy();
}

TEST_F(VmTest, ANetworkThatAVmHadIsTheNextVms) {
  std::string netns = make_network(id_);
  auto remove = ScopeGuard([&] { output_of(fmt::format("ip netns del {0}; ip netns del {0}h", id_)); });
  // One way to a VM failed after it was tied to the network, and undid that.
  ASSERT_EQ(output_of(fmt::format("(tc -n {0} qdisc add dev eth0 ingress && tc -n {0} qdisc del dev eth0 ingress) 2>&1", id_)),
            "");
  oci::Spec spec = make_spec(shell("ping -c 1 -W 2 10.99.0.1"));
  spec.linux_.namespaces[1].path = netns;
  std::string output;
  EXPECT_EQ(run(spec, output).code, 0);
  EXPECT_THAT(output, HasSubstr(" 0% packet loss"));
}

TEST_F(VmTest, BindMountsAreSeenFromBothSides) {
  make_folders(folder_ / "writable");
  make_folders(folder_ / "readable");
  replace_file(folder_ / "readable" / "from-host", "host\n", 0644, Durability::kUnsynced);
  replace_file(folder_ / "one-file", "a file\n", 0640, Durability::kUnsynced);
  ASSERT_EQ(::chown((folder_ / "one-file").c_str(), 1000, 1001), 0);
  oci::Spec spec = make_spec(
      shell("exec 2>&1; cat /r/from-host; echo x 2>/dev/null > /r/new || echo refused; cat /one; stat -c %u:%g:%a /one; echo "
            "guest > /w/made && "
            "chown 7:8 /w/made && chmod 600 /w/made && mkdir /w/folder && ln -s made /w/link && mv /w/made /w/folder/ && "
            "echo ready; while [ ! -e /w/answer ]; do sleep 0.05; done; cat /w/answer"));
  spec.mounts.push_back({.destination = "/w", .type = "bind", .source = folder_ / "writable", .options = {"rbind", "rw"}});
  spec.mounts.push_back({.destination = "/r", .type = "bind", .source = folder_ / "readable", .options = {"rbind", "ro"}});
  spec.mounts.push_back({.destination = "/one", .type = "bind", .source = folder_ / "one-file", .options = {"bind"}});
  PipeEnds pipes = make_pipes();
  auto sandbox = create(std::move(spec), std::move(pipes.theirs));
  sandbox->start();
  EXPECT_EQ(read_until(pipes.ours.out.get(), "ready\n"), "host\nrefused\na file\n1000:1001:640\nready\n");
  EXPECT_EQ(output_of("stat -c '%u:%g:%a' " + (folder_ / "writable/folder/made").native()), "7:8:600\n");
  EXPECT_EQ(read_file(folder_ / "writable/folder/made"), "guest\n");
  // Still jailed: its capabilities are those of a file server, in a user namespace of its own.
  std::string proc = fmt::format("/proc/{}", linux::Cgroup("/bulkhead/" + id_).processes().front());
  EXPECT_NE(std::filesystem::read_symlink(proc + "/ns/user"), std::filesystem::read_symlink("/proc/self/ns/user"));
  EXPECT_THAT(read_file(proc + "/status"), HasSubstr("CapEff:\t000000000000001f\n"));
  EXPECT_THAT(read_file(proc + "/status"), HasSubstr("CapBnd:\t000000000000001f\n"));
  EXPECT_THAT(read_file(proc + "/status"), testing::Not(HasSubstr("Uid:\t0")));
  replace_file(folder_ / "writable" / "answer", "from outside\n", 0644, Durability::kUnsynced);
  EXPECT_EQ(read_to_end(pipes.ours.out.get()), "from outside\n");
  EXPECT_EQ(await_exit(*sandbox, sandbox->init()).code, 0);
}

TEST_F(VmTest, TwinsShareNoRandomness) {
  std::string first;
  std::string second;
  const char* script = "cat /proc/sys/kernel/random/uuid /proc/sys/kernel/random/boot_id; head -c 16 /dev/urandom | od -x";
  run(make_spec(shell(script)), first);
  run(make_spec(shell(script)), second);
  std::istringstream lines(first);
  for (std::string line; std::getline(lines, line) && line.size() > 10;) {
    EXPECT_THAT(second, testing::Not(HasSubstr(line)));
  }
}

}  // namespace
}  // namespace bulkhead::sandbox
