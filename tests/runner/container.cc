#include "container.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>

#include "linux/cgroup.h"
#include "linux/cgroup_layout.h"
#include "runner/default_seccomp.h"
#include "support/error.h"
#include "support/files.h"
#include "support/pipe.h"
#include "support/random.h"

namespace bulkhead::test {

namespace {

const std::vector<std::string> kCapabilities{
    "CAP_CHOWN",  "CAP_DAC_OVERRIDE", "CAP_FSETID",           "CAP_FOWNER",     "CAP_MKNOD", "CAP_NET_RAW",    "CAP_SETGID",
    "CAP_SETUID", "CAP_SETFCAP",      "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT", "CAP_KILL",  "CAP_AUDIT_WRITE"};

void make_root(const std::filesystem::path& root) {
  for (const char* folder : {"bin", "proc", "sys", "dev", "etc", "tmp"}) {
    make_folders(root / folder);
  }
  ::chmod((root / "tmp").c_str(), 01777);
  std::filesystem::copy_file("/bin/busybox", root / "bin/busybox");
  for (const char* applet : {"sh",     "cat",   "ls",    "id",    "true",     "false",  "sleep",    "stat",  "mount",
                             "umount", "mknod", "chmod", "kill",  "readlink", "grep",   "hostname", "touch", "head",
                             "dd",     "tty",   "stty",  "mkdir", "ps",       "chroot", "unshare"}) {
    std::filesystem::create_symlink("busybox", root / "bin" / applet);
  }
}

oci::Spec docker_like() {
  oci::Spec spec;
  spec.root.path = "rootfs";
  spec.hostname = "inside";
  spec.process.env = {"PATH=/usr/bin:/bin"};
  spec.process.args = {"true"};
  spec.process.capabilities =
      oci::Capabilities{.bounding = kCapabilities, .effective = kCapabilities, .permitted = kCapabilities};
  spec.mounts = {
      {"/proc", "proc", "proc", {"nosuid", "noexec", "nodev"}},
      {"/dev", "tmpfs", "tmpfs", {"nosuid", "strictatime", "mode=755", "size=65536k"}},
      {"/dev/pts", "devpts", "devpts", {"nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"}},
      {"/sys", "sysfs", "sysfs", {"nosuid", "noexec", "nodev", "ro"}},
      {"/sys/fs/cgroup", "cgroup", "cgroup", {"ro", "nosuid", "noexec", "nodev"}},
      {"/dev/mqueue", "mqueue", "mqueue", {"nosuid", "noexec", "nodev"}},
      {"/dev/shm", "tmpfs", "shm", {"nosuid", "noexec", "nodev", "mode=1777", "size=65536k"}},
  };
  for (const char* type : {"mount", "network", "uts", "pid", "ipc", "cgroup"}) {
    spec.linux_.namespaces.push_back({type, ""});
  }
  spec.linux_.masked_paths = {"/proc/kcore", "/proc/keys", "/proc/acpi", "/proc/timer_list", "/sys/firmware"};
  spec.linux_.readonly_paths = {"/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"};
  spec.linux_.resources.devices.push_back({.allow = false, .type = 'a', .major = {}, .minor = {}, .access = "rwm"});
  for (auto [major, minor] : std::vector<std::pair<int, int>>{{1, 3}, {1, 5}, {1, 7}, {1, 8}, {1, 9}, {5, 0}, {5, 2}}) {
    spec.linux_.resources.devices.push_back({.allow = true, .type = 'c', .major = major, .minor = minor, .access = "rwm"});
  }
  spec.linux_.resources.devices.push_back({.allow = true, .type = 'c', .major = 136, .minor = {}, .access = "rwm"});
  spec.linux_.resources.devices.push_back({.allow = true, .type = 'c', .major = {}, .minor = {}, .access = "m"});
  spec.linux_.seccomp = runner::default_seccomp(kCapabilities);
  return spec;
}

sandbox::ProcessIo io_to(const Pipe& pipe) {
  return {.in = {},
          .out = UniqueFd(::fcntl(pipe.write.get(), F_DUPFD_CLOEXEC, 3)),
          .err = UniqueFd(::fcntl(pipe.write.get(), F_DUPFD_CLOEXEC, 3))};
}

void wait_readable(int fd) {
  pollfd poll{fd, POLLIN, 0};
  while (::poll(&poll, 1, -1) < 0 && errno == EINTR) {
  }
}

}  // namespace

std::string slurp(const std::filesystem::path& path) {
  try {
    return read_file(path);
  } catch (const Error&) {
    return {};
  }
}

bool host_has(const std::string& controller) {
  const linux::CgroupLayout& layout = linux::cgroup_layout();
  return layout.find(controller) != nullptr ||
         (layout.is_unified() && slurp(layout.unified / "cgroup.controllers").find(controller) != std::string::npos);
}

std::string drain(int fd) {
  std::string text;
  std::array<char, 4096> buffer{};
  for (ssize_t count = 0; (count = ::read(fd, buffer.data(), buffer.size())) > 0;) {
    text.append(buffer.data(), static_cast<size_t>(count));
  }
  return text;
}

Container::Container() : spec(docker_like()), id_("test-" + random_hex(6)), mounts_before_(slurp("/proc/self/mountinfo")) {
  std::string folder = "/tmp/bulkhead-runner-XXXXXX";
  if (::mkdtemp(folder.data()) == nullptr) {
    throw system_error("make a temporary folder");
  }
  folder_ = folder;
  make_root(root());
  spec.linux_.cgroups_path = "/bulkhead-test/" + id_;
}

Container::~Container() {
  wall_.reset();
  std::filesystem::remove_all(folder_);
  for (const linux::CgroupFolder& each : linux::Cgroup("bulkhead-test").folders()) {
    ::rmdir(each.path.c_str());  // the last one takes it away
  }
}

sandbox::Sandbox& Container::create() {
  Pipe pipe;
  sandbox::SandboxSpec request{.id = id_,
                               .bundle = folder_,
                               .spec = spec,
                               .rootfs = rootfs_mounts,
                               .io = io_to(pipe),
                               .state_folder = folder_,
                               .cache_folder = "/tmp/bulkhead-runner-test-cache"};
  if (spec.process.terminal) {
    request.io = {};
  }
  wall_ = sandbox::ProcessIsolation().create(std::move(request));
  output_ = std::move(pipe.read);
  return *wall_;
}

Result Container::finish() {
  Result result{.out = drain(spec.process.terminal ? wall_->init().console.get() : output_.get())};
  wait_readable(wall_->init().exit_descriptor);
  sandbox::ExitStatus status = wall_->reap("");
  result.code = status.code;
  result.out_of_memory = status.out_of_memory;
  return result;
}

Result Container::run() {
  create().start();
  Result result = finish();
  destroy();
  return result;
}

Result Container::run_shell(const std::string& script) {
  shell(script);
  return run();
}

Result Container::exec(const oci::Process& process) {
  Pipe pipe;
  sandbox::StartedProcess& started = wall_->exec("exec", process, process.terminal ? sandbox::ProcessIo{} : io_to(pipe));
  pipe.write.reset();
  Result result{.out = drain(process.terminal ? started.console.get() : pipe.read.get())};
  wait_readable(started.exit_descriptor);
  result.code = wall_->reap("exec").code;
  return result;
}

Result Container::exec_shell(const std::string& script) {
  oci::Process process = spec.process;
  process.args = {"sh", "-c", script};
  return exec(process);
}

void Container::destroy() {
  wall_->destroy();
  wall_.reset();
}

std::vector<std::string> Container::leftovers() const {
  std::vector<std::string> left;
  for (const linux::CgroupFolder& each : linux::Cgroup(spec.linux_.cgroups_path).folders()) {
    if (std::filesystem::exists(each.path)) {
      left.push_back(each.path);
    }
  }
  if (slurp("/proc/self/mountinfo") != mounts_before_ &&
      slurp("/proc/self/mountinfo").find(folder_.native()) != std::string::npos) {
    left.push_back("a mount below " + folder_.native());
  }
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/task/" + std::to_string(::getpid()))) {
    if (entry.path().filename() == "children" && !slurp(entry.path()).empty()) {
      left.push_back("children " + slurp(entry.path()));
    }
  }
  return left;
}

}  // namespace bulkhead::test
