#include "sandbox/vm/initramfs.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "agent/protocol/protocol.h"
#include "host/emulators.h"
#include "kernels/initramfs_archive.h"
#include "oci/digest.h"
#include "support/error.h"
#include "support/files.h"

namespace bulkhead::sandbox::vm {
namespace {

namespace fs = std::filesystem;

constexpr const char* kPrefix = "initramfs-";
constexpr size_t kMaxPart = 256UL << 20;

/// Another file under the same name has another identity.
std::string identity_of(const fs::path& file) {
  struct stat status {};
  if (file.empty()) {
    return "-\n";
  }
  if (::stat(file.c_str(), &status) != 0) {
    throw system_error(fmt::format("find '{}'", file.native()));
  }
  return fmt::format("{} {} {} {}.{}\n", status.st_dev, status.st_ino, status.st_size, status.st_mtim.tv_sec,
                     status.st_mtim.tv_nsec);
}

std::string emulator_archive(const host::Emulator& emulator, const fs::path& program) {
  kernels::InitramfsArchive archive;
  archive.add_folder(agent::kEmulatorFolder);
  archive.add_file(fmt::format("{}/program", agent::kEmulatorFolder), read_file(program, kMaxPart), 0755);
  archive.add_file(fmt::format("{}/register", agent::kEmulatorFolder),
                   host::registration(emulator, fmt::format("/{}/program", agent::kEmulatorFolder)));
  return archive.finish();
}

/// Files that no VM was started with for a day are of kernels and agents of the past.
void remove_old(const fs::path& folder) {
  std::error_code ignored;
  constexpr time_t kDay = 24L * 60 * 60;
  for (const auto& item : fs::directory_iterator(folder, ignored)) {
    struct stat status {};
    if (item.path().filename().native().starts_with(kPrefix) && ::stat(item.path().c_str(), &status) == 0 &&
        status.st_atim.tv_sec + kDay < ::time(nullptr)) {
      fs::remove(item.path(), ignored);
    }
  }
}

}  // namespace

fs::path assemble_initramfs(const InitramfsParts& parts, const fs::path& cache_folder) {
  if (parts.modules.empty() && parts.emulated.empty()) {
    return parts.agent;
  }
  const host::Emulator* emulator = nullptr;
  fs::path program;
  if (!parts.emulated.empty()) {
    emulator = host::emulator_for(parts.emulated);
    if (emulator == nullptr) {
      throw Error(ErrorCode::kNotSupported,
                  fmt::format("there is no emulator for programs of '{}'", parts.emulated.substr(0, 32)));
    }
    program = host::installed_program(*emulator);
    if (program.empty()) {
      throw Error(ErrorCode::kNotSupported, fmt::format("programs for {} need '{}': install the package {}", parts.emulated,
                                                        emulator->program, host::kEmulatorPackage));
    }
  }
  std::string key = identity_of(parts.agent) + identity_of(parts.modules) + identity_of(program) + parts.emulated;
  fs::path file = cache_folder / (kPrefix + std::string(oci::Hasher::of(key).hex().substr(0, 32)));
  // It is there, and is needed: says its time of access. That of its content is part of what templates are known by.
  const timespec times[2] = {{.tv_sec = 0, .tv_nsec = UTIME_NOW}, {.tv_sec = 0, .tv_nsec = UTIME_OMIT}};
  if (::utimensat(AT_FDCWD, file.c_str(), times, 0) == 0) {
    return file;
  }
  remove_old(cache_folder);
  std::string bytes = read_file(parts.agent, kMaxPart);
  const auto append = [&](const std::string& part) {
    constexpr size_t kAlignment = 512;  // 4 would do (buffer-format.rst)
    bytes.append((kAlignment - bytes.size() % kAlignment) % kAlignment, '\0');
    bytes += part;
  };
  if (!parts.modules.empty()) {
    append(read_file(parts.modules, kMaxPart));
  }
  if (emulator != nullptr) {
    append(emulator_archive(*emulator, program));
  }
  // Two containers that are the first at the same time write the same bytes; the unfinished one has a name of its own.
  fs::path unfinished = fmt::format("{}-{}", file.native(), ::getpid());
  replace_file(unfinished, bytes, 0644, Durability::kUnsynced);
  fs::rename(unfinished, file);
  return file;
}

}  // namespace bulkhead::sandbox::vm
