#include "linux/cgroup.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <signal.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <memory>

#include "linux/cgroup_layout.h"
#include "support/error.h"
#include "support/files.h"
#include "support/scope_guard.h"

namespace bulkhead::linux {

namespace {

constexpr int kPatienceMilliseconds = 10'000;

void pause_a_millisecond() {
  timespec time{0, 1'000'000};
  ::nanosleep(&time, nullptr);
}

enum class Made { kNew, kExisted };

Made make_folder(const std::filesystem::path& path) {
  if (::mkdir(path.c_str(), 0755) == 0) {
    return Made::kNew;
  }
  if (errno == EEXIST) {
    return Made::kExisted;
  }
  throw system_error(fmt::format("create cgroup '{}'", path.native()));
}

std::string read_if_there(const std::filesystem::path& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  return fd ? read_all(fd.get(), 4UL << 20) : std::string();
}

// A new cpuset is empty, and no process can enter it, unless it clones its parent's (cpusets(7)). Once per instance.
void make_cpuset_parents(const std::filesystem::path& root, const std::filesystem::path& relative) {
  std::filesystem::path current = root;
  for (const auto& part : relative) {
    std::filesystem::path parent = current;
    current /= part;
    if (make_folder(current) == Made::kExisted) {
      continue;
    }
    for (const char* file : {"cpuset.cpus", "cpuset.mems"}) {
      if (read_if_there(current / file).size() <= 1) {
        write_existing(current / file, read_file(parent / file));
      }
    }
    write_existing(current / "cgroup.clone_children", "1");
  }
}

// v2: a controller works in a group only where every ancestor hands it down.
void enable_controllers(const std::filesystem::path& parent) {
  std::string available = read_if_there(parent / "cgroup.controllers");
  std::string enabled = read_if_there(parent / "cgroup.subtree_control");
  for (const char* controller : {"cpu", "cpuset", "io", "memory", "pids"}) {
    if (available.find(controller) != std::string::npos && enabled.find(controller) == std::string::npos) {
      write_existing(parent / "cgroup.subtree_control", fmt::format("+{}", controller));
    }
  }
}

void make_unified(const std::filesystem::path& root, const std::filesystem::path& relative) {
  std::filesystem::path current = root;
  for (const auto& part : relative) {
    enable_controllers(current);
    current /= part;
    make_folder(current);
  }
}

void make_v1(const CgroupHierarchy& hierarchy, const std::filesystem::path& relative) {
  std::filesystem::path path = hierarchy.mount_point / relative;
  if (::mkdir(path.c_str(), 0755) == 0 || errno == EEXIST) {
    return;
  }
  bool cpuset = std::find(hierarchy.controllers.begin(), hierarchy.controllers.end(), "cpuset") != hierarchy.controllers.end();
  if (cpuset) {
    make_cpuset_parents(hierarchy.mount_point, relative.parent_path());
  } else {
    make_folders(path.parent_path());
  }
  make_folder(path);
}

std::vector<pid_t> pids_in(const std::filesystem::path& file) {
  std::string text = read_if_there(file);
  std::vector<pid_t> pids;
  const char* position = text.data();
  const char* end = position + text.size();
  while (position < end) {
    pid_t pid = 0;
    auto [next, error] = std::from_chars(position, end, pid);
    if (error != std::errc()) {
      break;
    }
    if (pid > 0) {  // 0: a process of a PID namespace that can't be seen from here
      pids.push_back(pid);
    }
    position = next + 1;
  }
  return pids;
}

std::vector<std::filesystem::path> children_of(const std::filesystem::path& path) {
  std::vector<std::filesystem::path> children;
  std::unique_ptr<DIR, int (*)(DIR*)> folder(::opendir(path.c_str()), &::closedir);
  if (!folder) {
    return children;
  }
  while (const dirent* entry = ::readdir(folder.get())) {
    std::string_view name = entry->d_name;
    if (entry->d_type == DT_DIR && name != "." && name != "..") {
      children.push_back(path / name);
    }
  }
  return children;
}

std::vector<pid_t> pids_below(const std::filesystem::path& path) {
  std::vector<pid_t> pids = pids_in(path / "cgroup.procs");
  for (const auto& child : children_of(path)) {
    std::vector<pid_t> more = pids_below(child);
    pids.insert(pids.end(), more.begin(), more.end());
  }
  return pids;
}

// rmdir(2) says EBUSY for a moment after the last process has ended.
void remove_tree(const std::filesystem::path& path) {
  for (int tries = 0;; ++tries) {
    if (::rmdir(path.c_str()) == 0 || errno == ENOENT) {
      return;
    }
    if (errno != EBUSY && errno != ENOTEMPTY) {
      throw system_error(fmt::format("remove cgroup '{}'", path.native()));
    }
    for (const auto& child : children_of(path)) {
      remove_tree(child);
    }
    if (tries == kPatienceMilliseconds / 10) {
      throw system_error(fmt::format("remove cgroup '{}'", path.native()), EBUSY);
    }
    if (tries > 0) {
      pause_a_millisecond();
    }
  }
}

std::string trimmed(std::string text) {
  while (!text.empty() && text.back() == '\n') {
    text.pop_back();
  }
  return text;
}

}  // namespace

Cgroup::Cgroup(std::string path) : path_(std::move(path)) {
  if (path_.find(':') != std::string::npos) {
    throw Error(
        ErrorCode::kNotSupported,
        fmt::format("'linux.cgroupsPath' {} asks for systemd to make the cgroup: only cgroupfs paths are supported", path_));
  }
  path_.erase(0, path_.find_first_not_of('/') == std::string::npos ? path_.size() : path_.find_first_not_of('/'));
  // SECURITY: a path out of the hierarchy, or its root, would put limits on the host and its removal would be the host's.
  for (const auto& part : std::filesystem::path(path_)) {
    if (part == ".." || part == "." || part.empty()) {
      throw Error(ErrorCode::kInvalidArgument, fmt::format("'linux.cgroupsPath' is not a plain path: '{}'", path_));
    }
  }
  if (path_.empty()) {
    throw Error(ErrorCode::kInvalidArgument, "'linux.cgroupsPath' is the root of all cgroups");
  }
}

std::filesystem::path Cgroup::folder(const char* controller) const {
  const CgroupLayout& layout = cgroup_layout();
  if (layout.is_unified()) {
    return layout.unified / path_;
  }
  const CgroupHierarchy* hierarchy = layout.find(controller);
  return hierarchy == nullptr ? std::filesystem::path() : hierarchy->mount_point / path_;
}

std::vector<CgroupFolder> Cgroup::folders() const {
  const CgroupLayout& layout = cgroup_layout();
  std::vector<CgroupFolder> folders;
  if (layout.is_unified()) {
    return {{.name = "", .controllers = {}, .path = layout.unified / path_}};
  }
  for (const CgroupHierarchy& hierarchy : layout.v1) {
    folders.push_back({hierarchy.mount_point.filename(), hierarchy.controllers, hierarchy.mount_point / path_});
  }
  return folders;
}

void Cgroup::create(const oci::Resources& resources) {
  const CgroupLayout& layout = cgroup_layout();
  if (layout.v1.empty() && layout.unified.empty()) {
    throw Error(ErrorCode::kNotSupported, "this host has no cgroups mounted: mount cgroup2 on /sys/fs/cgroup");
  }
  if (!processes().empty()) {
    throw Error(ErrorCode::kConflict, fmt::format("cgroup '{}' exists and holds processes", path_));
  }
  auto undo = ScopeGuard([this] {
    try {
      remove();
    } catch (const Error&) {  // the first error is the one to tell
    }
  });
  if (layout.is_unified()) {
    make_unified(layout.unified, path_);
  } else {
    for (const CgroupHierarchy& hierarchy : layout.v1) {
      make_v1(hierarchy, path_);
    }
  }
  apply(resources);
  undo.dismiss();
}

std::vector<UniqueFd> Cgroup::open_entrances() const {
  std::vector<UniqueFd> entrances;
  if (!cgroup_layout().is_unified()) {
    for (const CgroupFolder& each : folders()) {
      entrances.push_back(open_file(each.path / "tasks", O_WRONLY));
    }
  }
  return entrances;
}

UniqueFd Cgroup::open_folder() const {
  const CgroupLayout& layout = cgroup_layout();
  return layout.is_unified() ? open_file(layout.unified / path_, O_RDONLY | O_DIRECTORY) : UniqueFd();
}

void Cgroup::add(pid_t pid) const {
  for (const CgroupFolder& each : folders()) {
    write_existing(each.path / "cgroup.procs", fmt::format("{}", pid));
  }
}

void Cgroup::freeze() const {
  bool unified = cgroup_layout().is_unified();
  std::filesystem::path path = folder("freezer");
  if (path.empty()) {
    throw Error(ErrorCode::kNotSupported, "this host has no freezer cgroup");
  }
  const auto write_state = [&] {
    write_existing(path / (unified ? "cgroup.freeze" : "freezer.state"), unified ? "1" : "FROZEN");
  };
  write_state();
  for (int waited = 0; !frozen(); ++waited) {
    if (waited == kPatienceMilliseconds) {
      thaw();
      throw Error(ErrorCode::kDeadlineExceeded, fmt::format("cgroup '{}' did not freeze in ten seconds", path_));
    }
    pause_a_millisecond();
    if (!unified) {
      write_state();  // v1 looks again at tasks that were not freezable only when it is told again
    }
  }
}

void Cgroup::thaw() const {
  bool unified = cgroup_layout().is_unified();
  std::filesystem::path path = folder("freezer");
  if (path.empty()) {
    return;
  }
  path /= unified ? "cgroup.freeze" : "freezer.state";
  if (::access(path.c_str(), F_OK) == 0) {  // a group that is gone holds nothing frozen
    write_existing(path, unified ? "0" : "THAWED");
  }
}

bool Cgroup::frozen() const {
  std::filesystem::path path = folder("freezer");
  if (path.empty()) {
    return false;
  }
  if (cgroup_layout().is_unified()) {
    return read_if_there(path / "cgroup.events").find("frozen 1") != std::string::npos;
  }
  return trimmed(read_if_there(path / "freezer.state")) == "FROZEN";
}

std::vector<pid_t> Cgroup::processes() const {
  const CgroupLayout& layout = cgroup_layout();
  std::filesystem::path path = layout.is_unified() ? layout.unified / path_ : folder("pids");
  if (path.empty() && !layout.v1.empty()) {
    path = layout.v1.front().mount_point / path_;
  }
  return pids_below(path);
}

void Cgroup::signal_all(int signal_number) const {
  for (pid_t pid : processes()) {
    ::kill(pid, signal_number);  // it may have ended meanwhile
  }
}

void Cgroup::kill_all() const {
  if (cgroup_layout().is_unified()) {
    std::filesystem::path path = cgroup_layout().unified / path_ / "cgroup.kill";  // Linux 5.14
    if (::access(path.c_str(), W_OK) == 0) {
      write_existing(path, "1");
    }
  }
  for (int waited = 0; !processes().empty(); ++waited) {
    if (waited == kPatienceMilliseconds) {
      throw Error(ErrorCode::kDeadlineExceeded, fmt::format("processes in cgroup '{}' did not end in ten seconds", path_));
    }
    // Frozen, nothing can fork away between the look and the kill. Not on the first look: mostly one signal is enough.
    bool freezable = waited > 2 && !folder("freezer").empty();
    if (freezable) {
      freeze();
    }
    signal_all(SIGKILL);
    thaw();
    pause_a_millisecond();
  }
}

void Cgroup::remove() const {
  std::exception_ptr failure;
  for (const CgroupFolder& each : folders()) {
    try {
      remove_tree(each.path);
    } catch (const Error&) {
      failure = std::current_exception();  // the others shall go nevertheless
    }
  }
  if (failure) {
    std::rethrow_exception(failure);
  }
}

}  // namespace bulkhead::linux
