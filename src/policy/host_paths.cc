#include "policy/host_paths.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <cerrno>
#include <climits>
#include <filesystem>

namespace bulkhead::policy {
namespace {

constexpr size_t kMostLinks = 40;    // path_resolution(7)
constexpr size_t kMostNodes = 4096;  // of one folder of /dev

/// SECURITY: /proc/PID/{root,cwd,fd/N} lead elsewhere for whoever mounts them than for whoever asks.
bool is_of_a_process(const std::string& path) {
  constexpr std::string_view kProc = "/proc/";
  size_t slash = path.find('/', kProc.size());
  return path.starts_with(kProc) && slash != std::string::npos &&
         std::isdigit(static_cast<unsigned char>(path[kProc.size()])) != 0;
}

void add_node(std::set<std::string>& nodes, const struct stat& status) {
  if (S_ISCHR(status.st_mode) || S_ISBLK(status.st_mode)) {
    nodes.insert(
        fmt::format("{}{} {}:{}", kNode, S_ISCHR(status.st_mode) ? 'c' : 'b', major(status.st_rdev), minor(status.st_rdev)));
  }
}

std::set<std::string> nodes_in(const std::string& folder) {
  std::set<std::string> nodes;
  std::error_code error;
  size_t count = 0;
  for (std::filesystem::recursive_directory_iterator entry(folder, error), end; !error && entry != end && ++count <= kMostNodes;
       entry.increment(error)) {
    struct stat status {};
    if (::lstat(entry->path().c_str(), &status) == 0) {
      add_node(nodes, status);
    }
  }
  return nodes;
}

}  // namespace

const HostPaths::Entry& HostPaths::look(const std::string& path) {
  auto [found, is_new] = entries_.try_emplace(path);
  if (is_new) {
    std::array<char, PATH_MAX> target;
    ssize_t size = ::readlink(path.c_str(), target.data(), target.size());
    found->second.is_there = size >= 0 || errno == EINVAL;  // no link
    found->second.link.assign(target.data(), size > 0 ? static_cast<size_t>(size) : 0);
  }
  return found->second;
}

std::string HostPaths::real(const std::string& path) {
  if (path.size() >= PATH_MAX) {
    return path;  // the kernel takes no such path, and a create with it is refused
  }
  static const Entry kNothing;
  std::string reached;      // has no link in it; "" is the root
  std::string left = path;  // is still to be walked
  size_t links = 0;
  bool is_there = true;
  while (true) {
    size_t start = left.find_first_not_of('/');
    if (start == std::string::npos) {
      return reached.empty() ? "/" : reached;
    }
    size_t end = std::min(left.find('/', start), left.size());
    std::string part = left.substr(start, end - start);
    left.erase(0, end);
    if (part == "." || part == "..") {
      reached.resize(part == "." || reached.empty() ? reached.size() : reached.rfind('/'));
      is_there = is_there || part == "..";
      continue;
    }
    std::string here = fmt::format("{}/{}", reached, part);
    if (is_of_a_process(here)) {
      return "/";
    }
    const Entry& entry = is_there ? look(here) : kNothing;
    is_there = entry.is_there;
    if (entry.link.empty() || ++links > kMostLinks) {
      reached = std::move(here);
      continue;
    }
    reached = entry.link.starts_with('/') ? "" : reached;
    left.insert(0, entry.link);
  }
}

const std::set<std::string>& HostPaths::nodes(const std::string& path) {
  auto [found, is_new] = nodes_.try_emplace(path);
  struct stat status {};
  if (is_new && ::stat(path.c_str(), &status) == 0) {
    add_node(found->second, status);
    if (S_ISDIR(status.st_mode) && path != "/dev" && is_in(path, "/dev")) {
      found->second = nodes_in(path);
    }
  }
  return found->second;
}

void look_at_paths(Request& request, HostPaths& host) {
  for (const std::string& path : std::set<std::string>(request.host_mounts)) {
    request.host_mounts.insert(host.real(path));
  }
  for (const std::string& path : std::set<std::string>(request.devices)) {
    if (path.starts_with('/')) {
      add_device(request, host.real(path));
      request.devices.insert(host.nodes(path).begin(), host.nodes(path).end());
    }
  }
}

}  // namespace bulkhead::policy
