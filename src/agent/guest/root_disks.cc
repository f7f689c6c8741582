#include "agent/guest/root_disks.h"

#include <fmt/format.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/error.h"
#include "support/files.h"

namespace bulkhead::agent {
namespace {

constexpr const char* kImageDisk = "/dev/vda";
constexpr const char* kScratchDisk = "/dev/vdb";
constexpr const char* kLower = "/run/lower";
constexpr const char* kScratch = "/run/scratch";

/// The root of an overlay has the attributes of the upper folder: those that the image's root has.
void make_upper() {
  struct stat image {};
  if (::stat(kLower, &image) != 0) {
    throw system_error("stat the image's root");
  }
  const char* upper = "/run/scratch/upper";
  if (::mkdir(upper, 0700) == 0) {
    if (::chown(upper, image.st_uid, image.st_gid) != 0 || ::chmod(upper, image.st_mode & 07777) != 0) {
      throw system_error("set the attributes of the container's root");
    }
  } else if (errno != EEXIST) {
    throw system_error("make a folder on the container's disk");
  }
  if (::mkdir("/run/scratch/work", 0700) != 0 && errno != EEXIST) {
    throw system_error("make a folder on the container's disk");
  }
}

}  // namespace

RootDisks::RootDisks(const std::filesystem::path& target, ImageDisk image) : root_(target) {
  try {
    if (image == ImageDisk::kMounted) {
      mounted_.emplace_back(kLower);
    } else {
      mount(kImageDisk, kLower, "erofs", MS_RDONLY, nullptr);
    }
    mount(kScratchDisk, kScratch, "ext4", MS_NOATIME, "discard");
    make_upper();
    mount("overlay", target, "overlay", 0, "lowerdir=/run/lower,upperdir=/run/scratch/upper,workdir=/run/scratch/work");
  } catch (const Error&) {
    for (; !mounted_.empty(); mounted_.pop_back()) {
      ::umount2(mounted_.back().c_str(), MNT_DETACH);
    }
    throw;
  }
}

RootDisks::~RootDisks() {
  for (; !mounted_.empty(); mounted_.pop_back()) {
    ::umount2(mounted_.back().c_str(), MNT_DETACH);
  }
}

void RootDisks::mount(const std::filesystem::path& source, const std::filesystem::path& target, const char* type,
                      unsigned long flags, const char* options) {
  make_folders(target);
  if (::mount(source.c_str(), target.c_str(), type, flags, options) != 0) {
    throw system_error(fmt::format("mount {} from {} in the guest", type, source.native()));
  }
  mounted_.push_back(target);
}

void RootDisks::unmount(ImageDisk image) {
  for (; !mounted_.empty(); mounted_.pop_back()) {
    bool stays = image == ImageDisk::kMounted && mounted_.back() == kLower;
    if (!stays && ::umount2(mounted_.back().c_str(), 0) != 0) {
      throw system_error(fmt::format("unmount '{}' in the guest", mounted_.back().native()));
    }
  }
}

}  // namespace bulkhead::agent
