// Whole small files, and the crash-safe way to replace one. All functions block and throw `Error` naming the path.
#pragma once

#include <sys/types.h>

#include <filesystem>
#include <string>
#include <string_view>

#include "support/unique_fd.h"

namespace bulkhead {

/// Opens with O_CLOEXEC added.
UniqueFd open_file(const std::filesystem::path& path, int flags, mode_t mode = 0);
/// The same, where no link is on the way (openat2(2), RESOLVE_NO_SYMLINKS): ELOOP else.
UniqueFd open_exact_file(const std::filesystem::path& path, int flags);
/// The file's bytes; kResourceExhausted where it is larger than `limit` bytes.
std::string read_file(const std::filesystem::path& path, size_t limit = 64UL << 20);
/// From the current offset to the end.
std::string read_all(int fd, size_t limit = 64UL << 20);
void write_all(int fd, std::string_view bytes);
/// Another descriptor of the same open file, above those of the standard streams and closed on exec.
UniqueFd duplicate(int fd);
/// Overwrites an existing file in one write(2): for /proc, /sys and cgroup files.
void write_existing(const std::filesystem::path& path, std::string_view bytes);

enum class Durability { kSynced, kUnsynced };
/// Writes `path`.tmp, (fsyncs,) renames it over `path`: a reader sees the old or the new bytes, never a part.
void replace_file(const std::filesystem::path& path, std::string_view bytes, mode_t mode, Durability durability);
/// mkdir -p; new folders get `mode`.
void make_folders(const std::filesystem::path& path, mode_t mode = 0755);
/// rm -r, for folders of our own; missing is fine, and so is another process that removes parts of it at the same time.
void remove_folder(const std::filesystem::path& path);

}  // namespace bulkhead
