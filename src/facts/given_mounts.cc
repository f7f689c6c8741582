#include "facts/given_mounts.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>

#include "facts/facts.pb.h"
#include "facts/mount_tree.h"
#include "support/error.h"
#include "support/files.h"

namespace bulkhead::facts {
namespace {

constexpr size_t kMost = 16UL << 20;  // bytes of mountinfo

std::optional<FileIdentity> identity_of(pid_t pid, const std::string& path, uint64_t resolve, int flags) {
  UniqueFd root(::open(fmt::format("/proc/{}/root", pid).c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!root) {
    return std::nullopt;
  }
  open_how how{};
  how.flags = O_PATH | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS | resolve;
  UniqueFd file(static_cast<int>(::syscall(SYS_openat2, root.get(), path.c_str(), &how, sizeof(how))));
  struct statx status {};
  if (!file || ::statx(file.get(), "", AT_EMPTY_PATH | flags, STATX_INO | STATX_MNT_ID, &status) != 0) {
    return std::nullopt;
  }
  return FileIdentity{
      .mount = status.stx_mnt_id, .device = ::makedev(status.stx_dev_major, status.stx_dev_minor), .inode = status.stx_ino};
}

/// Today's mounts against those of the start.
class Standings {
 public:
  Standings(const std::vector<MountEntry>& now, const std::vector<MountEntry>& host, const GivenMounts& given,
            const Identify& identify)
      : now_(now), host_(host), given_(given), identify_(identify), start_(parse_mountinfo(given.mountinfo, SIZE_MAX)) {
    for (const MountEntry& each : start_) {
      by_point_.emplace(each.point, &each);
    }
    std::transform(now.begin(), now.end(), std::back_inserter(same_), [&](const MountEntry& each) { return find_same(each); });
  }

  bool comparable() const { return !now_.empty() && !start_.empty() && was_given(MountTree(now_).root()); }

  void tell(std::vector<VisiblePath>& told) const {
    for (size_t i = 0; i < now_.size(); ++i) {
      VisiblePath path = describe_mount(now_[i], host_);
      const MountEntry* giver = same_[i] != nullptr ? &now_[i] : giver_of(now_[i]);
      path.set_standing(giver != nullptr ? STANDING_GIVEN : STANDING_ADDED);
      path.set_read_only_at_start(same_[i] != nullptr && same_[i]->read_only());
      if (giver != nullptr) {
        path.set_destination(destination_of(*giver));
      }
      told.push_back(std::move(path));
    }
    tell_gone(told);
  }

 private:
  const MountEntry* find_same(const MountEntry& entry) const {
    auto [begin, end] = by_point_.equal_range(entry.point);
    for (auto each = begin; each != end; ++each) {
      const MountEntry& start = *each->second;
      if (start.device == entry.device && (start.root == entry.root || is_renamed(start, entry))) {
        return &start;
      }
    }
    return nullptr;
  }

  bool is_renamed(const MountEntry& start, const MountEntry& entry) const {
    auto bind = given_.binds.find(start.id);
    if (bind == given_.binds.end() || start.id != entry.id) {
      return false;
    }
    auto file = identify_(entry.point);
    return file && file->mount == entry.id && file->device == bind->second.file.device &&
           file->inode == bind->second.file.inode;
  }

  bool was_given(const MountEntry* entry) const { return entry != nullptr && same_of(*entry) != nullptr; }
  const MountEntry* same_of(const MountEntry& entry) const { return same_[static_cast<size_t>(&entry - now_.data())]; }

  /// The given mount that shows all of this one's files, and lets as much be done to them; or from which it was propagated. A
  /// mount of the kernel's files shows also what masks hide of another one.
  const MountEntry* giver_of(const MountEntry& entry) const {
    bool has_masks = describe_mount(entry, host_).kind() == PATH_KERNEL;
    auto found = std::find_if(now_.begin(), now_.end(), [&](const MountEntry& other) {
      const MountEntry* start = same_of(other);
      if (start == nullptr) {
        return false;
      }
      bool shows = !has_masks && other.device == entry.device && is_below(entry.root, other.root);
      return (shows && (entry.read_only() || !start->read_only())) || is_propagated(other, entry);
    });
    return found == now_.end() ? nullptr : &*found;
  }

  bool is_propagated(const MountEntry& from, const MountEntry& entry) const {
    if (!from.propagates || from.point == "/" || !is_below(entry.point, from.point)) {
      return false;
    }
    std::string below = entry.point.substr(from.point.size());
    return std::any_of(host_.begin(), host_.end(), [&](const MountEntry& each) {
      return each.device == entry.device && each.root == entry.root && each.point.ends_with(below);
    });
  }

  /// What was asked for and brought this one.
  std::string destination_of(const MountEntry& entry) const {
    const MountEntry* best = nullptr;
    const GivenBind* bind = nullptr;
    for (const MountEntry& each : now_) {
      const MountEntry* start = same_of(each);
      auto found = start == nullptr ? given_.binds.end() : given_.binds.find(start->id);
      bool holds = found != given_.binds.end() && is_below(entry.point, each.point);
      if (holds && (best == nullptr || each.point.size() > best->point.size())) {
        best = &each;
        bind = &found->second;
      }
    }
    return best == nullptr ? "" : bind->destination + entry.point.substr(best->point.size());
  }

  void tell_gone(std::vector<VisiblePath>& told) const {
    MountTree then(start_);
    MountTree today(now_);
    for (const MountEntry& each : start_) {
      const MountEntry* seen = today.at(each.point);
      if (!each.read_only() || then.at(each.point) != &each || seen == nullptr || same_of(*seen) == &each) {
        continue;
      }
      PathKind kind = describe_mount(*seen, host_).kind();
      VisiblePath path = describe_mount(each, host_);
      bool mask = path.kind() == PATH_MASK || path.kind() == PATH_MEMORY;
      bool shows = kind == PATH_KERNEL || kind == PATH_HOST;  // else something of the container's own is there
      if (shows && (mask || !seen->read_only())) {
        path.set_standing(STANDING_GONE);
        path.set_read_only_at_start(true);
        told.push_back(std::move(path));
      }
    }
  }

  const std::vector<MountEntry>& now_;
  const std::vector<MountEntry>& host_;
  const GivenMounts& given_;
  const Identify& identify_;
  std::vector<MountEntry> start_;
  std::multimap<std::string, const MountEntry*> by_point_;  // of the start
  std::vector<const MountEntry*> same_;                     // of the start, for each of today's
};

}  // namespace

GivenMounts remember_mounts(pid_t pid, const std::vector<std::string>& binds) {
  GivenMounts given;
  try {
    given.mountinfo = read_file(fmt::format("/proc/{}/mountinfo", pid), kMost);
  } catch (const Error&) {  // then nothing is known, and the measurement says so
    return given;
  }
  for (const std::string& destination : binds) {
    if (auto file = identity_of(pid, destination, 0, 0)) {
      given.binds[file->mount] = {.destination = destination, .file = *file};
    }
  }
  return given;
}

std::optional<FileIdentity> identity_without_asking(pid_t pid, const std::string& path) {
  // A mount point and all above it are in the kernel's cache of names as long as it is mounted.
  return identity_of(pid, path, RESOLVE_CACHED | RESOLVE_NO_SYMLINKS, AT_STATX_DONT_SYNC);
}

bool tell_mounts(const std::vector<MountEntry>& now, const std::vector<MountEntry>& host, const GivenMounts& given,
                 const Identify& identify, std::vector<VisiblePath>& told) {
  Standings standings(now, host, given, identify);
  if (!standings.comparable()) {
    std::transform(now.begin(), now.end(), std::back_inserter(told),
                   [&](const MountEntry& each) { return describe_mount(each, host); });
    return false;
  }
  standings.tell(told);
  return true;
}

}  // namespace bulkhead::facts
