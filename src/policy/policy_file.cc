#include "policy/policy_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include "oci/docker_seccomp.h"
#include "policy/yaml_tree.h"
#include "support/error.h"
#include "support/files.h"

namespace bulkhead::policy {
namespace {

constexpr size_t kProfileLimit = kYamlLimit;

[[noreturn]] void refuse(const std::string& why) { throw Error(ErrorCode::kInvalidArgument, why); }

/// SECURITY: only who may become root anyway may say what the policy is.
void check_owner(const std::string& file, const struct stat& status) {
  if (!S_ISREG(status.st_mode)) {
    refuse(fmt::format("{}: it is no regular file", file));
  }
  if ((status.st_uid != 0 && status.st_uid != ::geteuid()) || (status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    refuse(fmt::format("{0}: others than root may write it: chown root {0} && chmod go-w {0}", file));
  }
}

std::string read_owned(const std::filesystem::path& path, size_t limit) {
  // O_NONBLOCK: a pipe in its place must not hold anybody up.
  UniqueFd file = open_file(path, O_RDONLY | O_NONBLOCK);
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) {
    throw system_error(fmt::format("look at '{}'", path.native()));
  }
  check_owner(path, status);
  if (static_cast<size_t>(status.st_size) > limit) {
    refuse(fmt::format("{}:1:1: larger than {} KiB", path.native(), limit >> 10));
  }
  return read_all(file.get(), limit);
}

}  // namespace

Policy read_policy(const std::filesystem::path& file) { return Policy::parse(read_owned(file, kYamlLimit), file.native()); }

std::map<std::string, std::string> read_profiles(const Policy& policy) {
  std::map<std::string, std::string> profiles;
  for (const NamedProfile& named : policy.seccomp_profiles()) {
    try {
      std::string text = read_owned(named.path, kProfileLimit);
      oci::parse_seccomp_profile(text, {});
      profiles[named.path] = std::move(text);
    } catch (const Error& error) {
      refuse(fmt::format("{}:{}:{}: the seccomp profile '{}': {}", policy.file(), named.line, named.column, named.path,
                         error.message()));
    }
  }
  return profiles;
}

}  // namespace bulkhead::policy
