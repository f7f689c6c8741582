#include "engine/mount_requests.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <climits>
#include <filesystem>
#include <set>

#include "engine/spec_builder.h"
#include "support/error.h"
#include "support/files.h"

namespace bulkhead::engine {
namespace {

const std::set<std::string>& propagations() {
  static const std::set<std::string> kWords = {"private", "rprivate", "shared", "rshared", "slave", "rslave"};
  return kWords;
}

Error invalid(std::string message) { return {ErrorCode::kInvalidArgument, std::move(message)}; }

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  size_t start = 0;
  for (;;) {
    size_t end = text.find(separator, start);
    parts.push_back(text.substr(start, end == std::string::npos ? end : end - start));
    if (end == std::string::npos) {
      return parts;
    }
    start = end + 1;
  }
}

/// PATH_MAX counts the end. A path of megabytes would cost seconds to take apart.
void check_length(const std::string& path) {
  if (path.size() >= PATH_MAX) {
    throw invalid(fmt::format("invalid mount path '{}...': it has {} bytes, and Linux takes {} at most", path.substr(0, 64),
                              path.size(), PATH_MAX - 1));
  }
}

std::string checked_target(const std::string& target, const std::string& where) {
  if (target.empty() || target[0] != '/') {
    throw invalid(fmt::format("invalid mount path: '{}' mount path must be absolute", target));
  }
  check_length(target);
  std::string clean = clean_path(target);
  if (clean == "/") {
    throw invalid(fmt::format("invalid volume specification: '{}': invalid specification: destination can't be '/'", where));
  }
  return clean;
}

void read_bind_mode(const std::string& mode, MountView& view) {
  bool access_given = false;
  bool propagation_given = false;
  for (const std::string& word : split(mode, ',')) {
    // SELinux labels (z, Z) mean nothing without SELinux; the consistency words are for other systems: Docker takes both.
    static const std::set<std::string> kNothing = {"z", "Z", "consistent", "cached", "delegated"};
    if ((word == "ro" || word == "rw") && !access_given) {
      view.read_write = word == "rw";
      access_given = true;
    } else if (propagations().contains(word) && !propagation_given) {
      view.propagation = word;
      propagation_given = true;
    } else if (!kNothing.contains(word)) {
      throw invalid(fmt::format("invalid mode: {}", mode));
    }
  }
}

MountRequest parse_bind(const std::string& bind) {
  auto parts = split(bind, ':');
  if (parts.size() < 2 || parts.size() > 3 || parts[0].empty() || parts[1].empty()) {
    throw invalid(fmt::format("invalid volume specification: '{}'", bind));
  }
  if (parts[0][0] != '/') {
    throw Error(
        ErrorCode::kNotSupported,
        fmt::format("volume '{}' in '{}': named volumes are not supported by this engine yet: name a folder of the host "
                    "by its absolute path",
                    parts[0], bind));
  }
  check_length(parts[0]);
  MountRequest request{.missing_source = MissingSource::kCreate};
  request.view = {
      .type = "bind", .source = clean_path(parts[0]), .destination = checked_target(parts[1], bind), .propagation = "rprivate"};
  if (parts.size() == 3) {
    request.view.mode = parts[2];
    read_bind_mode(parts[2], request.view);
  }
  return request;
}

/// Docker's default and then the user's words, each of which takes back its opposite.
std::vector<std::string> merge_tmpfs_options(const std::vector<std::string>& wanted) {
  static const std::vector<std::pair<std::string, std::string>> kOpposites = {{"exec", "noexec"},
                                                                              {"suid", "nosuid"},
                                                                              {"dev", "nodev"},
                                                                              {"ro", "rw"},
                                                                              {"sync", "async"},
                                                                              {"atime", "noatime"},
                                                                              {"diratime", "nodiratime"},
                                                                              {"relatime", "norelatime"},
                                                                              {"strictatime", "nostrictatime"}};
  static const std::set<std::string> kKeys = {"mode", "uid", "gid", "size", "nr_inodes", "nr_blocks", "mpol"};
  std::vector<std::string> merged = {"noexec", "nosuid", "nodev"};
  for (const std::string& option : wanted) {
    if (option.empty() || option == "defaults") {
      continue;
    }
    size_t equals = option.find('=');
    auto opposite = std::find_if(kOpposites.begin(), kOpposites.end(),
                                 [&](const auto& pair) { return option == pair.first || option == pair.second; });
    if (equals != std::string::npos && kKeys.contains(option.substr(0, equals))) {
      std::string key = option.substr(0, equals + 1);
      std::erase_if(merged, [&](const std::string& given) { return given.starts_with(key); });
    } else if (equals == std::string::npos && opposite != kOpposites.end()) {
      std::erase_if(merged, [&](const std::string& given) { return given == opposite->first || given == opposite->second; });
    } else {
      throw invalid(fmt::format("Invalid tmpfs option \"{}\"", option));
    }
    merged.push_back(option);
  }
  return merged;
}

MountRequest parse_mount(const MountPoint& mount) {
  MountRequest request;
  request.view = {
      .type = mount.type, .destination = checked_target(mount.target, mount.target), .read_write = !mount.read_only};
  if (mount.type == "tmpfs") {
    std::vector<std::string> options;
    if (mount.read_only) {
      options.emplace_back("ro");
    }
    if (mount.tmpfs_size > 0) {
      options.push_back(fmt::format("size={}", mount.tmpfs_size));
    }
    if (mount.tmpfs_mode != 0) {
      options.push_back(fmt::format("mode={:o}", mount.tmpfs_mode));
    }
    request.tmpfs_options = merge_tmpfs_options(options);
    return request;
  }
  if (!mount.propagation.empty() && !propagations().contains(mount.propagation)) {
    throw invalid(fmt::format("invalid propagation mode: {}", mount.propagation));
  }
  check_length(mount.source);
  request.view.source = clean_path(mount.source);
  request.view.propagation = mount.propagation.empty() ? "rprivate" : mount.propagation;
  request.recursive = !mount.non_recursive;
  request.missing_source = mount.create_source ? MissingSource::kCreate : MissingSource::kRefuse;
  return request;
}

void check_source(const MountRequest& request) {
  struct stat status {};
  if (stat(request.view.source.c_str(), &status) == 0) {
    return;
  }
  if (errno != ENOENT) {
    throw system_error(fmt::format("bind source '{}'", request.view.source));
  }
  if (request.missing_source == MissingSource::kRefuse) {
    throw invalid(
        fmt::format("invalid mount config for type \"bind\": bind source path does not exist: {}", request.view.source));
  }
  make_folders(request.view.source, 0755);
}

}  // namespace

std::string clean_path(const std::string& path) {
  std::string clean = std::filesystem::path(path).lexically_normal();
  // POSIX leaves two leading slashes to the system; for Linux they are one.
  size_t first = clean.find_first_not_of('/');
  if (first == std::string::npos) {
    return clean.empty() ? "." : "/";
  }
  if (first > 1) {
    clean.erase(0, first - 1);
  }
  if (clean.size() > 1 && clean.back() == '/') {
    clean.pop_back();
  }
  return clean;
}

std::vector<MountRequest> mount_requests(const HostConfig& host_config) {
  std::vector<MountRequest> requests;
  for (const std::string& bind : host_config.binds) {
    requests.push_back(parse_bind(bind));
  }
  for (const MountPoint& mount : host_config.mounts) {
    requests.push_back(parse_mount(mount));
  }
  for (const auto& [target, options] : host_config.tmpfs) {
    MountRequest request{.shown = false, .tmpfs_options = merge_tmpfs_options(split(options, ','))};
    request.view = {.type = "tmpfs", .destination = checked_target(target, target), .mode = options};
    requests.push_back(std::move(request));
  }
  std::set<std::string> targets;
  for (const MountRequest& request : requests) {
    if (!targets.insert(request.view.destination).second) {
      throw invalid(fmt::format("Duplicate mount point: {}", request.view.destination));
    }
  }
  auto depth = [](const MountRequest& request) {
    return std::count(request.view.destination.begin(), request.view.destination.end(), '/');
  };
  std::stable_sort(requests.begin(), requests.end(), [&](const auto& a, const auto& b) { return depth(a) < depth(b); });
  return requests;
}

std::vector<std::string> volume_paths(const ContainerConfig& config, const HostConfig& host_config) {
  std::set<std::string> mounted;
  for (const MountRequest& request : mount_requests(host_config)) {
    mounted.insert(request.view.destination);
  }
  std::vector<std::string> paths;
  for (const std::string& volume : config.volumes) {
    std::string path = checked_target(volume, volume);
    if (path.find('\n') != std::string::npos) {
      throw invalid(fmt::format("invalid mount path: '{}': a volume's path can't have a line break in it", volume));
    }
    if (!mounted.contains(path)) {
      paths.push_back(std::move(path));
    }
  }
  return paths;
}

oci::Mount to_mount(const MountRequest& request) {
  if (request.view.type == "tmpfs") {
    return {.destination = request.view.destination, .type = "tmpfs", .source = "tmpfs", .options = request.tmpfs_options};
  }
  oci::Mount mount{.destination = request.view.destination, .type = "bind", .source = request.view.source};
  mount.options.emplace_back(request.recursive ? "rbind" : "bind");
  if (!request.view.read_write) {
    mount.options.emplace_back("ro");
  }
  mount.options.push_back(request.view.propagation);
  return mount;
}

std::vector<MountView> resolve_mounts(const HostConfig& host_config) {
  auto requests = mount_requests(host_config);  // all are right before anything is made
  std::vector<MountView> views;
  for (const MountRequest& request : requests) {
    if (request.view.type == "bind") {
      check_source(request);
    }
    if (request.shown) {
      views.push_back(request.view);
    }
  }
  return views;
}

}  // namespace bulkhead::engine
