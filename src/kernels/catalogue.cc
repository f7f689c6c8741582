#include "kernels/catalogue.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "compat/kernel_image.h"
#include "compat/kernel_version.h"
#include "oci/digest.h"
#include "support/error.h"
#include "support/files.h"
#include "support/random.h"
#include "support/scope_guard.h"
#include "support/time.h"

namespace bulkhead::kernels {
namespace {

using nlohmann::json;

// Guests have no modules: what brings them up, their disks, their root and their channel to the host has to be built in.
constexpr std::array kNeeded = {
    "CONFIG_PVH",        "CONFIG_BLK_DEV_INITRD", "CONFIG_VIRTIO_MMIO",    "CONFIG_VIRTIO_MMIO_CMDLINE_DEVICES",
    "CONFIG_VIRTIO_BLK", "CONFIG_VIRTIO_NET",     "CONFIG_VIRTIO_CONSOLE", "CONFIG_NET_9P_VIRTIO",
    "CONFIG_9P_FS",      "CONFIG_EROFS_FS",       "CONFIG_EXT4_FS",        "CONFIG_OVERLAY_FS",
    "CONFIG_DEVTMPFS",   "CONFIG_CGROUPS",        "CONFIG_MEMCG",          "CONFIG_CGROUP_PIDS",
    "CONFIG_NAMESPACES", "CONFIG_NET_NS",         "CONFIG_PID_NS",         "CONFIG_SECCOMP_FILTER"};

constexpr uint16_t kMachineX86 = 62;  // EM_X86_64

/// A file's bytes without a copy of them.
class MappedFile {
 public:
  explicit MappedFile(const std::filesystem::path& path) {
    UniqueFd file = open_file(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    struct stat status {};
    if (::fstat(file.get(), &status) != 0 || !S_ISREG(status.st_mode)) {
      throw Error(ErrorCode::kInvalidArgument, fmt::format("'{}' is not a regular file", path.native()));
    }
    size_ = static_cast<size_t>(status.st_size);
    if (size_ > compat::kMaxKernelImage) {
      throw Error(ErrorCode::kInvalidArgument,
                  fmt::format("'{}' is larger than any kernel ({} bytes)", path.native(), compat::kMaxKernelImage));
    }
    start_ = size_ == 0 ? nullptr : ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file.get(), 0);
    if (start_ == MAP_FAILED) {
      throw system_error(fmt::format("map '{}'", path.native()));
    }
  }
  ~MappedFile() {
    if (start_ != nullptr) {
      ::munmap(start_, size_);
    }
  }
  MappedFile(const MappedFile&) = delete;
  MappedFile& operator=(const MappedFile&) = delete;
  std::string_view bytes() const { return {static_cast<const char*>(start_), size_}; }

 private:
  void* start_ = nullptr;
  size_t size_ = 0;
};

Error no_kernel(const std::filesystem::path& path, std::string_view why) {
  return {ErrorCode::kInvalidArgument, fmt::format("'{}' is no kernel that guests can boot: {}", path.native(), why)};
}

std::string checked_release(std::string_view bytes, const std::filesystem::path& path) {
  constexpr size_t kMachineOffset = 18;
  if (!bytes.starts_with("\177ELF")) {
    throw no_kernel(path, "it has to be an uncompressed vmlinux (the kernel's scripts/extract-vmlinux makes one of a bzImage)");
  }
  bool is_x86 = bytes.size() > kMachineOffset + 1 && bytes[kMachineOffset] == static_cast<char>(kMachineX86) &&
                bytes[kMachineOffset + 1] == 0;
  if (!is_x86) {
    throw no_kernel(path, "it is not for x86-64");
  }
  std::string release = compat::kernel_release(bytes);
  if (release.empty()) {
    throw no_kernel(path, "it names no release");
  }
  return release;
}

void check_config(const std::filesystem::path& config) {
  std::string names;
  for (const std::string& option : missing_options(read_file(config, 4UL << 20))) {
    names += (names.empty() ? "" : ", ") + option;
  }
  if (!names.empty()) {
    throw no_kernel(config, fmt::format("its configuration has not built in: {}", names));
  }
}

/// Which file it is now, "" where there is none.
std::string identity_of(const std::filesystem::path& path) {
  struct stat status {};
  if (::stat(path.c_str(), &status) != 0 || !S_ISREG(status.st_mode)) {
    return "";
  }
  return fmt::format("{}:{}:{}:{}.{}", status.st_dev, status.st_ino, status.st_size, status.st_mtim.tv_sec,
                     status.st_mtim.tv_nsec);
}

compat::KernelVersion version_of(const Entry& entry) {
  return compat::parse_kernel_version(entry.release).value_or(compat::KernelVersion{});
}

}  // namespace

bool is_kernel_name(const std::string& name) {
  constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz0123456789._-";
  bool begins_well = !name.empty() && name[0] != '.' && name[0] != '_' && name[0] != '-';
  return begins_well && name.size() <= 64 && name.find_first_not_of(kLetters) == std::string::npos;
}

std::vector<std::string> missing_options(const std::string& config) {
  std::vector<std::string> missing;
  std::string lines = "\n" + config + "\n";
  for (const char* option : kNeeded) {
    if (lines.find(fmt::format("\n{}=y\n", option)) == std::string::npos) {
      missing.emplace_back(option);
    }
  }
  return missing;
}

std::string release_of_file(const std::filesystem::path& kernel) { return compat::kernel_release(MappedFile(kernel).bytes()); }

Entry Catalogue::built_in() const {
  Entry entry{.name = kBuiltIn, .release = {}, .kernel = built_in_, .digest = {}, .added = {}, .config_checked = true};
  std::string file = identity_of(built_in_);
  std::lock_guard lock(mutex_);
  if (file.empty()) {  // not there: `isolations` says so where it matters
    return entry;
  }
  if (file != known_file_) {
    known_release_ = release_of_file(built_in_);
    known_file_ = file;
  }
  entry.release = known_release_;
  return entry;
}

std::optional<Entry> Catalogue::read(const std::string& name) const {
  std::filesystem::path folder = folder_ / name;
  try {
    json value = json::parse(read_file(folder / "entry.json", 64UL << 10));
    return Entry{.name = name,
                 .release = value.at("release"),
                 .kernel = folder / "vmlinux",
                 .digest = value.at("digest"),
                 .added = value.at("added"),
                 .config_checked = value.at("config_checked")};
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kNotFound) {
      return std::nullopt;
    }
    throw;
  } catch (const json::exception& error) {
    throw Error(ErrorCode::kDataLoss, fmt::format("kernel '{}' of the catalogue is damaged: {}", name, error.what()));
  }
}

std::vector<Entry> Catalogue::list() const {
  std::vector<Entry> added;
  std::error_code error;
  for (const auto& item : std::filesystem::directory_iterator(folder_, error)) {
    std::string name = item.path().filename();
    if (!is_kernel_name(name)) {
      continue;  // being written, or removed
    }
    if (auto entry = read(name)) {
      added.push_back(std::move(*entry));
    }
  }
  std::sort(added.begin(), added.end(), [](const Entry& a, const Entry& b) {
    return version_of(b) < version_of(a) || (version_of(b) == version_of(a) && a.name < b.name);
  });
  added.insert(added.begin(), built_in());
  return added;
}

std::optional<Entry> Catalogue::find(const std::string& name) const {
  if (name == kBuiltIn) {
    return built_in();
  }
  return is_kernel_name(name) ? read(name) : std::nullopt;
}

Entry Catalogue::add(const std::string& name, const std::filesystem::path& kernel, const std::filesystem::path& config) const {
  if (!is_kernel_name(name) || name == kBuiltIn) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("'{}' can't be a kernel's name: use at most 64 of a-z, 0-9, '.', '_' and '-'", name.substr(0, 64)));
  }
  MappedFile source(kernel);
  Entry entry{.name = name,
              .release = checked_release(source.bytes(), kernel),
              .kernel = folder_ / name / "vmlinux",
              .digest = oci::Hasher::of(source.bytes()).text(),
              .added = rfc3339(now()),
              .config_checked = !config.empty()};
  if (!config.empty()) {
    check_config(config);
  }
  std::filesystem::path fresh = folder_ / (".new-" + random_hex(8));
  make_folders(fresh, 0755);
  auto undo = ScopeGuard([&] {
    std::error_code ignored;
    std::filesystem::remove_all(fresh, ignored);
  });
  json value = {
      {"release", entry.release}, {"digest", entry.digest}, {"added", entry.added}, {"config_checked", entry.config_checked}};
  replace_file(fresh / "vmlinux", source.bytes(), 0644, Durability::kSynced);
  replace_file(fresh / "entry.json", value.dump(), 0644, Durability::kSynced);
  // No replacing: where the name is taken by a folder with something in it, rename(2) fails.
  if (::rename(fresh.c_str(), (folder_ / name).c_str()) != 0) {
    if (errno == EEXIST || errno == ENOTEMPTY) {
      throw Error(ErrorCode::kConflict,
                  fmt::format("there is a kernel '{}' already: 'bulkhead kernel rm {}' removes it", name, name));
    }
    throw system_error(fmt::format("add kernel '{}'", name));
  }
  undo.dismiss();
  return entry;
}

void Catalogue::remove(const std::string& name) const {
  if (name == kBuiltIn) {
    throw Error(ErrorCode::kConflict, "the built-in kernel can't be removed");
  }
  std::filesystem::path gone = folder_ / (".gone-" + random_hex(8));
  if (!is_kernel_name(name) || ::rename((folder_ / name).c_str(), gone.c_str()) != 0) {
    throw Error(ErrorCode::kNotFound, fmt::format("No such kernel: {}; 'bulkhead kernel ls' lists them", name.substr(0, 64)));
  }
  remove_folder(gone);
}

}  // namespace bulkhead::kernels
