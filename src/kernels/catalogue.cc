#include "kernels/catalogue.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <iterator>
#include <map>
#include <nlohmann/json.hpp>

#include "compat/kernel_image.h"
#include "compat/kernel_version.h"
#include "kernels/bzimage.h"
#include "kernels/module_archive.h"
#include "kernels/module_tree.h"
#include "kernels/needs.h"
#include "kernels/package.h"
#include "oci/digest.h"
#include "support/error.h"
#include "support/files.h"
#include "support/random.h"
#include "support/scope_guard.h"
#include "support/time.h"

namespace bulkhead::kernels {
namespace {

using nlohmann::json;

constexpr uint16_t kMachineX86 = 62;  // EM_X86_64
constexpr const char* kKernelFile = "vmlinux";
constexpr const char* kModulesFile = "modules.cpio";

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

void check_vmlinux(std::string_view bytes, const std::filesystem::path& path) {
  constexpr size_t kMachineOffset = 18;
  if (!bytes.starts_with("\177ELF")) {
    throw no_kernel(path, "it is neither a vmlinux nor a bzImage (vmlinuz) for x86");
  }
  bool is_x86 = bytes.size() > kMachineOffset + 1 && bytes[kMachineOffset] == static_cast<char>(kMachineX86) &&
                bytes[kMachineOffset + 1] == 0;
  if (!is_x86) {
    throw no_kernel(path, "it is not for x86-64");
  }
}

/// The kernel as guests boot it: uncompressed. Where it was compressed the bytes lie in `holder`.
std::string_view uncompressed(std::string_view bytes, const std::filesystem::path& path, std::string& holder) {
  if (is_bzimage(bytes)) {
    try {
      holder = vmlinux_of_bzimage(bytes);
    } catch (const Error& error) {
      throw no_kernel(path, error.message());
    }
    bytes = holder;
  }
  check_vmlinux(bytes, path);
  return bytes;
}

std::string joined(const std::vector<std::string>& names) { return fmt::format("{}", fmt::join(names, ", ")); }

/// How the kernel is booted, from its configuration; without one as far as can be told.
Boot boot_of(const KernelFiles& files, const ModuleTree& tree) {
  Boot boot;
  if (!files.config.empty()) {
    Findings findings = examine(read_file(files.config, 4UL << 20), tree);
    if (!findings.missing.empty()) {
      throw no_kernel(files.kernel, fmt::format("its configuration '{}' has neither built in nor as a module at hand: {}",
                                                files.config.native(), joined(findings.missing)));
    }
    boot = findings.boot;
  } else if (!files.modules.empty()) {
    // A driver that is a module can't be told by the command line; nearly every distribution's kernel is made so.
    boot.devices = Devices::kAcpi;
    boot.shares = tree.has("9p") ? Shares::kNineP : Shares::kNone;
  }
  boot.memory = files.modules.empty() ? kSmallKernel : kStockKernel;
  return boot;
}

json to_json(const Boot& boot) {
  return {{"devices", boot.devices == Devices::kAcpi ? "acpi" : "command-line"},
          {"shares", boot.shares == Shares::kNineP ? "9p" : "none"},
          {"programs_386", boot.programs_386 == Programs386::kYes},
          {"memory", boot.memory},
          {"modules", !boot.modules.empty()}};
}

Boot boot_from(const json& value, const std::filesystem::path& folder) {
  Boot boot;
  boot.devices = value.at("devices") == "acpi" ? Devices::kAcpi : Devices::kCommandLine;
  boot.shares = value.at("shares") == "9p" ? Shares::kNineP : Shares::kNone;
  boot.programs_386 = value.at("programs_386").get<bool>() ? Programs386::kYes : Programs386::kNo;
  boot.memory = value.at("memory");
  if (value.at("modules").get<bool>()) {
    boot.modules = folder / kModulesFile;
  }
  return boot;
}

/// The entry of that name in one folder of kernels.
std::optional<Entry> read_entry(const std::filesystem::path& kernels, const std::string& name) {
  std::filesystem::path folder = kernels / name;
  try {
    json value = json::parse(read_file(folder / "entry.json", 64UL << 10));
    Entry entry{.name = name,
                .release = value.at("release"),
                .version = value.value("version", ""),
                .kernel = folder / kKernelFile,
                .emulated = {},
                .digest = value.at("digest"),
                .added = value.at("added"),
                .config_checked = value.at("config_checked")};
    if (auto boot = value.find("boot"); boot != value.end()) {  // entries of before there were others have none
      entry.boot = boot_from(*boot, folder);
    }
    return entry;
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kNotFound) {
      return std::nullopt;
    }
    throw;
  } catch (const json::exception& error) {
    throw Error(ErrorCode::kDataLoss, fmt::format("kernel '{}' of the catalogue is damaged: {}", name, error.what()));
  }
}

void read_folder(const std::filesystem::path& folder, std::map<std::string, Entry>& entries) {
  std::error_code error;
  for (const auto& item : std::filesystem::directory_iterator(folder, error)) {
    std::string name = item.path().filename();
    if (!is_kernel_name(name) || entries.count(name) > 0) {
      continue;  // being written, or removed; or of a name that is taken
    }
    if (auto entry = read_entry(folder, name)) {
      entries.emplace(name, std::move(*entry));
    }
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

Error came_along(const std::string& name) {
  return {ErrorCode::kConflict, fmt::format("kernel '{}' came with Bulkhead, and can't be removed nor replaced", name)};
}

Error taken(const std::string& name) {
  return {ErrorCode::kConflict, fmt::format("there is a kernel '{}' already: 'bulkhead kernel rm {}' removes it", name, name)};
}

/// All that an entry consists of, in `folder`.
Entry write_entry(const KernelFiles& files, const std::filesystem::path& folder) {
  MappedFile source(files.kernel);
  std::string holder;
  std::string_view vmlinux = uncompressed(source.bytes(), files.kernel, holder);
  ModuleTree tree(files.modules);
  Entry entry{.name = {},
              .release = compat::kernel_release(vmlinux),
              .version = {},
              .kernel = {},
              .emulated = {},
              .digest = oci::Hasher::of(vmlinux).text(),
              .added = rfc3339(now()),
              .config_checked = !files.config.empty()};
  if (entry.release.empty()) {
    throw no_kernel(files.kernel, "it names no release");
  }
  entry.version = compat::version_of_build(entry.release, compat::kernel_banner(vmlinux));
  entry.boot = boot_of(files, tree);
  if (!files.modules.empty()) {
    entry.boot.modules = folder / kModulesFile;
    std::string archive = make_module_archive(tree, entry.release, boot_modules(), loadable_modules());
    replace_file(entry.boot.modules, archive, 0644, Durability::kSynced);
  }
  json value = {{"release", entry.release},
                {"version", entry.version},
                {"digest", entry.digest},
                {"added", entry.added},
                {"config_checked", entry.config_checked},
                {"boot", to_json(entry.boot)}};
  replace_file(folder / kKernelFile, vmlinux, 0644, Durability::kSynced);
  replace_file(folder / "entry.json", value.dump(), 0644, Durability::kSynced);
  return entry;
}

/// What a package holds, and what was named beside it.
KernelFiles with_more(KernelFiles files, const KernelFiles& more) {
  files.modules.insert(files.modules.end(), more.modules.begin(), more.modules.end());
  files.config = more.config.empty() ? files.config : more.config;
  return files;
}

compat::KernelVersion version_of(const Entry& entry) {
  return compat::parse_kernel_version(entry.version.empty() ? entry.release : entry.version).value_or(compat::KernelVersion{});
}

}  // namespace

bool is_kernel_name(const std::string& name) {
  constexpr std::string_view kLetters = "abcdefghijklmnopqrstuvwxyz0123456789._-";
  bool begins_well = !name.empty() && name[0] != '.' && name[0] != '_' && name[0] != '-';
  return begins_well && name.size() <= 64 && name.find_first_not_of(kLetters) == std::string::npos;
}

std::string release_of_file(const std::filesystem::path& kernel) { return compat::kernel_release(MappedFile(kernel).bytes()); }

Entry Catalogue::built_in() const {
  Entry entry{.name = kBuiltIn,
              .release = {},
              .version = {},
              .kernel = built_in_.kernel,
              .emulated = built_in_.emulated,
              .digest = {},
              .added = {},
              .config_checked = true,
              .shipped = true};
  std::string file = identity_of(built_in_.kernel);
  std::lock_guard lock(mutex_);
  if (file.empty()) {  // not there: `isolations` says so where it matters
    return entry;
  }
  if (file != known_file_) {
    known_release_ = release_of_file(built_in_.kernel);
    known_file_ = file;
  }
  entry.release = known_release_;
  return entry;
}

std::vector<Entry> Catalogue::list() const {
  std::map<std::string, Entry> entries;
  read_folder(shipped_, entries);
  for (auto& [name, entry] : entries) {
    entry.shipped = true;
  }
  read_folder(folder_, entries);
  std::vector<Entry> sorted;
  std::transform(entries.begin(), entries.end(), std::back_inserter(sorted),
                 [](auto& named) { return std::move(named.second); });
  std::sort(sorted.begin(), sorted.end(), [](const Entry& a, const Entry& b) {
    return version_of(b) < version_of(a) || (version_of(b) == version_of(a) && a.name < b.name);
  });
  sorted.insert(sorted.begin(), built_in());
  return sorted;
}

std::optional<Entry> Catalogue::find(const std::string& name) const {
  if (name == kBuiltIn) {
    return built_in();
  }
  if (!is_kernel_name(name)) {
    return std::nullopt;
  }
  if (auto entry = shipped_.empty() ? std::nullopt : read_entry(shipped_, name)) {
    entry->shipped = true;
    return entry;
  }
  return read_entry(folder_, name);
}

Entry Catalogue::add(const std::string& name, const KernelFiles& given) const {
  if (!is_kernel_name(name) || name == kBuiltIn) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("'{}' can't be a kernel's name: use at most 64 of a-z, 0-9, '.', '_' and '-'", name.substr(0, 64)));
  }
  if (compat::is_kernel_range(name)) {
    throw Error(
        ErrorCode::kInvalidArgument,
        fmt::format("'{}' can't be a kernel's name: it reads as a range of versions, and who asks for the range would get "
                    "this kernel; name it otherwise, such as '{}-mine'",
                    name, name));
  }
  if (auto there = find(name)) {
    throw there->shipped ? came_along(name) : taken(name);
  }
  std::filesystem::path fresh = folder_ / (".new-" + random_hex(8));
  make_folders(fresh, 0755);
  auto undo = ScopeGuard([&] {
    std::error_code ignored;
    std::filesystem::remove_all(fresh, ignored);
  });
  std::filesystem::path unpacked = fresh / "package";
  Entry entry = write_entry(is_package(given.kernel) ? with_more(unpack_package(given.kernel, unpacked), given) : given, fresh);
  remove_folder(unpacked);
  // No replacing: where the name is taken by a folder with something in it, rename(2) fails.
  if (::rename(fresh.c_str(), (folder_ / name).c_str()) != 0) {
    if (errno == EEXIST || errno == ENOTEMPTY) {
      throw taken(name);
    }
    throw system_error(fmt::format("add kernel '{}'", name));
  }
  undo.dismiss();
  return find(name).value_or(entry);
}

void Catalogue::remove(const std::string& name) const {
  if (name == kBuiltIn) {
    throw Error(ErrorCode::kConflict, "the built-in kernel can't be removed");
  }
  std::filesystem::path gone = folder_ / (".gone-" + random_hex(8));
  if (!is_kernel_name(name) || ::rename((folder_ / name).c_str(), gone.c_str()) != 0) {
    if (find(name)) {
      throw came_along(name);
    }
    throw Error(ErrorCode::kNotFound, fmt::format("No such kernel: {}; 'bulkhead kernel ls' lists them", name.substr(0, 64)));
  }
  remove_folder(gone);
}

}  // namespace bulkhead::kernels
