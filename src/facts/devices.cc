#include "facts/devices.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>
#include <array>
#include <memory>
#include <sstream>

#include "facts/facts.pb.h"
#include "facts/local_files.h"
#include "support/unique_fd.h"

namespace bulkhead::facts {
namespace {

constexpr int kMostNodes = 512;
constexpr int kMostEntries = 4096;  // looked at
constexpr int kDeepest = 3;

bool fits(const std::string& wanted, uint32_t number) { return wanted == "*" || wanted == std::to_string(number); }

/// SECURITY: the folder is the container's own: it may hold anything, and change meanwhile.
class NodeSearch {
 public:
  NodeSearch(const LocalFiles& files, const std::vector<DeviceRule>* rules, Wall& wall)
      : files_(files), rules_(rules), wall_(wall) {}

  void look_into(UniqueFd folder, const std::string& path, int depth) {
    std::unique_ptr<DIR, int (*)(DIR*)> entries(::fdopendir(folder.get()), &::closedir);
    if (!entries) {
      return;
    }
    int fd = folder.release();  // the stream's now
    while (const dirent* entry = ::readdir(entries.get())) {
      std::string name = entry->d_name;
      if (name == "." || name == ".." || ++looked_at_ > kMostEntries || wall_.devices_size() >= kMostNodes) {
        continue;
      }
      struct statx status {};
      constexpr int kHow = AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT | AT_STATX_DONT_SYNC;
      if (::statx(fd, name.c_str(), kHow, STATX_TYPE, &status) != 0) {
        continue;
      }
      if (S_ISCHR(status.stx_mode) || S_ISBLK(status.stx_mode)) {
        add(status, fmt::format("{}/{}", path, name));
      } else if (S_ISDIR(status.stx_mode) && depth < kDeepest) {
        if (UniqueFd below = files_.open_folder(fd, name.c_str())) {
          look_into(std::move(below), fmt::format("{}/{}", path, name), depth + 1);
        }
      }
    }
  }

 private:
  void add(const struct statx& status, const std::string& path) {
    Device& device = *wall_.add_devices();
    device.set_path(path.substr(0, 256));
    device.set_kind(S_ISBLK(status.stx_mode) ? "b" : "c");
    device.set_major(status.stx_rdev_major);
    device.set_minor(status.stx_rdev_minor);
    device.set_access(rules_ == nullptr ? "?" : allowed_access(device, *rules_));
  }

  const LocalFiles& files_;
  const std::vector<DeviceRule>* rules_;
  Wall& wall_;
  int looked_at_ = 0;
};

}  // namespace

std::vector<DeviceRule> parse_device_rules(std::string_view text) {
  std::vector<DeviceRule> rules;
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string kind, numbers;
    DeviceRule rule;
    words >> kind >> numbers >> rule.access;
    size_t colon = numbers.find(':');
    if (words.fail() || kind.size() != 1 || colon == std::string::npos) {
      continue;
    }
    rule.kind = kind[0];
    rule.major = numbers.substr(0, colon);
    rule.minor = numbers.substr(colon + 1);
    rules.push_back(std::move(rule));
  }
  return rules;
}

std::string allowed_access(const Device& device, const std::vector<DeviceRule>& rules) {
  std::string allowed;
  for (char access : std::string_view("rwm")) {
    bool passes = std::any_of(rules.begin(), rules.end(), [&](const DeviceRule& rule) {
      return (rule.kind == 'a' || std::string(1, rule.kind) == device.kind()) && fits(rule.major, device.major()) &&
             fits(rule.minor, device.minor()) && rule.access.find(access) != std::string::npos;
    });
    if (passes) {
      allowed += access;
    }
  }
  return allowed;
}

void add_device_nodes(int dev, const LocalFiles& files, const std::vector<DeviceRule>* rules, Wall& wall) {
  UniqueFd folder(::openat(dev, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (folder) {
    NodeSearch(files, rules, wall).look_into(std::move(folder), "/dev", 0);
  }
}

}  // namespace bulkhead::facts
