#include "vm_fixture.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <sstream>
#include <utility>

#include "support/files.h"
#include "support/pipe.h"
#include "support/random.h"

namespace bulkhead::sandbox {
namespace {

constexpr int kPatience = 60'000;  // milliseconds

void must(const std::string& command) {
  if (std::system(("{ " + command + "; } >/dev/null 2>&1").c_str()) != 0) {  // NOLINT(cert-env33-c)
    throw std::runtime_error("failed: " + command);
  }
}

/// The image of all tests: busybox and its links, as an EROFS disk.
const std::filesystem::path& image() {
  // Never destroyed: the clean-up at exit comes after static destructors could have run.
  static const std::filesystem::path& kImage = *new std::filesystem::path([] {
    std::filesystem::path root = std::filesystem::temp_directory_path() / fmt::format("bulkhead-vm-image-{}", ::getpid());
    must(
        fmt::format("rm -rf {0} && mkdir -p {0}/root/bin {0}/root/proc {0}/root/sys {0}/root/dev {0}/root/etc {0}/root/tmp && "
                    "chmod 1777 {0}/root/tmp && "
                    "cp /bin/busybox {0}/root/bin/ && for a in $(/bin/busybox --list); do "
                    "[ $a = busybox ] || ln -s busybox {0}/root/bin/$a; done && mkfs.erofs {0}/image.erofs {0}/root && "
                    "truncate -s 64G {0}/image.erofs",
                    root.native()));
    (void)std::atexit([] { std::filesystem::remove_all(kImage.parent_path()); });
    return root / "image.erofs";
  }());
  return kImage;
}

/// The built-in kernel's files, for KVM and for emulation.
const std::pair<std::string, std::string>& built_in_kernels() {
  static const std::pair<std::string, std::string> kPaths = [] {
    std::pair<std::string, std::string> paths;
    std::istringstream(output_of(KERNEL_SCRIPT)) >> paths.first >> paths.second;
    return paths;
  }();
  return kPaths;
}

/// False at the end of the stream, or of our patience.
bool read_some(int fd, std::string& text) {
  pollfd ready{.fd = fd, .events = POLLIN, .revents = 0};
  if (::poll(&ready, 1, kPatience) <= 0) {
    ADD_FAILURE() << "no output for a minute; so far: " << text;
    return false;
  }
  std::array<char, 65536> bytes;
  ssize_t count = ::read(fd, bytes.data(), bytes.size());
  if (count > 0) {
    text.append(bytes.data(), static_cast<size_t>(count));
  }
  return count > 0;
}

}  // namespace

std::string output_of(const std::string& command) {
  std::string text;
  FILE* pipe = ::popen(command.c_str(), "r");
  std::array<char, 4096> buffer{};
  while (size_t size = ::fread(buffer.data(), 1, buffer.size(), pipe)) {
    text.append(buffer.data(), size);
  }
  ::pclose(pipe);
  return text;
}

PipeEnds make_pipes() {
  Pipe in;
  Pipe out;
  Pipe err;
  return {.theirs = {.in = std::move(in.read), .out = std::move(out.write), .err = std::move(err.write)},
          .ours = {.in = std::move(in.write), .out = std::move(out.read), .err = std::move(err.read)}};
}

std::string read_to_end(int fd) {
  std::string text;
  while (read_some(fd, text)) {
  }
  return text;
}

std::string read_until(int fd, const std::string& wanted) {
  std::string text;
  while (text.find(wanted) == std::string::npos && read_some(fd, text)) {
  }
  return text;
}

ExitStatus await_exit(Sandbox& sandbox, const StartedProcess& started, const std::string& exec_id) {
  pollfd ended{.fd = started.exit_descriptor, .events = POLLIN, .revents = 0};
  if (::poll(&ended, 1, kPatience) != 1) {
    throw std::runtime_error("the process doesn't end");
  }
  return sandbox.reap(exec_id);
}

std::vector<std::string> shell(const std::string& script) { return {"/bin/sh", "-c", script}; }

oci::Process make_process(std::vector<std::string> args) {
  oci::Process process;
  process.args = std::move(args);
  process.env = {"PATH=/bin", "TERM=xterm"};
  std::vector<std::string> all = {"CAP_CHOWN",  "CAP_DAC_OVERRIDE", "CAP_FOWNER", "CAP_KILL",
                                  "CAP_SETUID", "CAP_SETGID",       "CAP_NET_RAW"};
  process.capabilities =
      oci::Capabilities{.bounding = all, .effective = all, .inheritable = {}, .permitted = all, .ambient = {}};
  return process;
}

oci::Spec make_spec(std::vector<std::string> args) {
  oci::Spec spec;
  spec.root.path = "rootfs";
  spec.process = make_process(std::move(args));
  spec.hostname = "in-a-vm";
  spec.mounts = {{.destination = "/proc", .type = "proc", .source = "proc", .options = {"nosuid", "noexec", "nodev"}},
                 {.destination = "/dev", .type = "tmpfs", .source = "tmpfs", .options = {"nosuid", "mode=755", "size=65536k"}},
                 {.destination = "/dev/pts",
                  .type = "devpts",
                  .source = "devpts",
                  .options = {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}},
                 {.destination = "/sys", .type = "sysfs", .source = "sysfs", .options = {"nosuid", "noexec", "nodev", "ro"}}};
  for (const char* type : {"pid", "network", "ipc", "uts", "mount"}) {
    spec.linux_.namespaces.push_back({.type = type, .path = {}});
  }
  return spec;
}

void VmTest::SetUp() {
  ASSERT_EQ(::geteuid(), 0U) << "needs root";
  ASSERT_FALSE(built_in_kernels().second.empty()) << "there is no guest kernel";
  id_ = "vmtest" + random_hex(6);
  folder_ = std::filesystem::temp_directory_path() / id_;
  make_folders(folder_ / "state", 0700);
  make_folders(folder_ / "cache", 0700);
  make_folders(folder_ / "bundle", 0700);
  image_ = image();
  scratch_ = folder_ / "scratch.ext4";
  make_scratch();
}

void VmTest::TearDown() { std::filesystem::remove_all(folder_); }

void VmTest::make_scratch() {
  must(fmt::format("rm -f {0} && truncate -s 64G {0} && mkfs.ext4 -q -F -E lazy_itable_init=1,nodiscard -m 0 {0} 10G",
                   scratch_.native()));
}

vm::Configuration VmTest::configuration() const {
  vm::Configuration configuration;
  configuration.kernel = built_in_kernels().first;
  configuration.emulated_kernel = built_in_kernels().second;
  configuration.initramfs = INITRAMFS;
  if (const char* log = std::getenv("VM_CONSOLE_LOG")) {  // NOLINT(concurrency-mt-unsafe): the test has one thread here
    configuration.console_log = log;
  }
  return configuration;
}

SandboxSpec VmTest::sandbox_spec(oci::Spec spec, ProcessIo io) {
  SandboxSpec out;
  out.id = id_;
  out.bundle = folder_ / "bundle";
  out.spec = std::move(spec);
  out.rootfs = {{.type = "erofs", .source = image_, .target = {}, .options = {}},
                {.type = "ext4", .source = scratch_, .target = {}, .options = {}}};
  out.io = std::move(io);
  out.state_folder = folder_ / "state";
  out.cache_folder = folder_ / "cache";
  return out;
}

std::unique_ptr<Sandbox> VmTest::create(oci::Spec spec, ProcessIo io) {
  return VmIsolation(configuration()).create(sandbox_spec(std::move(spec), std::move(io)));
}

ExitStatus VmTest::run(oci::Spec spec, std::string& output) {
  PipeEnds pipes = make_pipes();
  auto sandbox = create(std::move(spec), std::move(pipes.theirs));
  sandbox->start();
  output = read_to_end(pipes.ours.out.get());
  ExitStatus status = await_exit(*sandbox, sandbox->init());
  sandbox->destroy();
  return status;
}

}  // namespace bulkhead::sandbox
