#include "support/files.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstdio>

#include "support/error.h"

namespace bulkhead {

UniqueFd open_file(const std::filesystem::path& path, int flags, mode_t mode) {
  UniqueFd fd(::open(path.c_str(), flags | O_CLOEXEC, mode));
  if (!fd) {
    throw system_error(fmt::format("open '{}'", path.native()));
  }
  return fd;
}

UniqueFd open_exact_file(const std::filesystem::path& path, int flags) {
  open_how how{};
  how.flags = static_cast<uint64_t>(flags | O_CLOEXEC);
  how.resolve = RESOLVE_NO_SYMLINKS;
  UniqueFd fd(static_cast<int>(::syscall(SYS_openat2, AT_FDCWD, path.c_str(), &how, sizeof(how))));
  if (!fd) {
    throw system_error(fmt::format("open '{}'", path.native()));
  }
  return fd;
}

std::string read_all(int fd, size_t limit) {
  std::string bytes;
  constexpr size_t kChunk = 64UL << 10;
  size_t used = 0;
  for (;;) {
    bytes.resize(used + kChunk);
    ssize_t count = ::read(fd, bytes.data() + used, kChunk);
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count < 0) {
      throw system_error("read a file");
    }
    used += static_cast<size_t>(count);
    if (used > limit) {
      throw Error(ErrorCode::kResourceExhausted, fmt::format("a file is larger than {} bytes", limit));
    }
    if (count == 0) {
      bytes.resize(used);
      return bytes;
    }
  }
}

std::string read_file(const std::filesystem::path& path, size_t limit) {
  UniqueFd fd = open_file(path, O_RDONLY);
  try {
    return read_all(fd.get(), limit);
  } catch (const Error& error) {
    throw error.wrap(fmt::format("'{}'", path.native()));
  }
}

void write_all(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    ssize_t count = ::write(fd, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count < 0) {
      throw system_error("write a file");
    }
    bytes.remove_prefix(static_cast<size_t>(count));
  }
}

UniqueFd duplicate(int fd) {
  UniqueFd copy(::fcntl(fd, F_DUPFD_CLOEXEC, 3));
  if (!copy) {
    throw system_error("duplicate a descriptor");
  }
  return copy;
}

void write_existing(const std::filesystem::path& path, std::string_view bytes) {
  UniqueFd fd = open_file(path, O_WRONLY);
  if (::write(fd.get(), bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) {
    throw system_error(fmt::format("write '{}' to '{}'", bytes.substr(0, 64), path.native()));
  }
}

void replace_file(const std::filesystem::path& path, std::string_view bytes, mode_t mode, Durability durability) {
  std::filesystem::path temporary = path;
  temporary += ".tmp";
  UniqueFd fd = open_file(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW, mode);
  try {
    write_all(fd.get(), bytes);
    if (durability == Durability::kSynced && ::fsync(fd.get()) != 0) {
      throw system_error("fsync");
    }
    fd.close();
    if (::rename(temporary.c_str(), path.c_str()) != 0) {
      throw system_error("rename");
    }
  } catch (const Error& error) {
    ::unlink(temporary.c_str());
    throw error.wrap(fmt::format("write '{}'", path.native()));
  }
  if (durability == Durability::kSynced) {
    UniqueFd folder = open_file(path.parent_path(), O_RDONLY | O_DIRECTORY);
    if (::fsync(folder.get()) != 0) {
      throw system_error(fmt::format("fsync '{}'", path.parent_path().native()));
    }
  }
}

void remove_folder(const std::filesystem::path& path) {
  std::error_code failure;
  for (int attempt = 0; attempt < 10; ++attempt) {
    std::filesystem::remove_all(path, failure);
    if (!failure) {
      return;
    }
  }
  throw Error(code_of_errno(failure.value()), fmt::format("remove folder '{}': {}", path.native(), failure.message()));
}

void make_folders(const std::filesystem::path& path, mode_t mode) {
  if (::mkdir(path.c_str(), mode) == 0 || errno == EEXIST) {
    return;
  }
  if (errno == ENOENT && path.has_relative_path() && path.parent_path() != path) {
    make_folders(path.parent_path(), mode);
    if (::mkdir(path.c_str(), mode) == 0 || errno == EEXIST) {
      return;
    }
  }
  throw system_error(fmt::format("create folder '{}'", path.native()));
}

}  // namespace bulkhead
