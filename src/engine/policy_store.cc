#include "engine/policy_store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>

#include "engine/capabilities.h"
#include "engine/security_options.h"
#include "support/error.h"
#include "support/files.h"
#include "support/log.h"

namespace bulkhead::engine {
namespace {

constexpr size_t kProfileLimit = 1UL << 20;

/// SECURITY: only who may become root anyway may say what the policy is.
void check_owner(const std::string& file, const struct stat& status) {
  if (!S_ISREG(status.st_mode)) {
    throw Error(ErrorCode::kInvalidArgument, fmt::format("{}: it is no regular file", file));
  }
  if ((status.st_uid != 0 && status.st_uid != ::geteuid()) || (status.st_mode & (S_IWGRP | S_IWOTH)) != 0) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("{0}: others than root may write it: chown root {0} && chmod go-w {0}", file));
  }
}

void check_capabilities(const policy::Policy& rules) {
  for (const policy::Rule& rule : rules.rules()) {
    for (const std::string& name : rule.walls.drop_capabilities) {
      const auto& known = all_capabilities();
      if (name != "ALL" && std::find(known.begin(), known.end(), "CAP_" + name) == known.end()) {
        throw Error(ErrorCode::kInvalidArgument,
                    fmt::format("{}:{}: rule '{}': there is no capability {}", rules.file(), rule.line, rule.name, name));
      }
    }
  }
}

std::map<std::string, std::string> read_profiles(const policy::Policy& rules) {
  std::map<std::string, std::string> profiles;
  for (const std::string& path : rules.seccomp_profiles()) {
    try {
      std::string text = read_file(path, kProfileLimit);
      parse_seccomp_profile(text, {});
      profiles[path] = std::move(text);
    } catch (const Error& error) {
      throw error.wrap(fmt::format("{}: the seccomp profile '{}'", rules.file(), path));
    }
  }
  return profiles;
}

int64_t nanoseconds(const timespec& time) { return static_cast<int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec; }

std::shared_ptr<const LoadedPolicy> no_policy() {
  return std::make_shared<LoadedPolicy>(LoadedPolicy{.rules = policy::Policy::none(), .seccomp_profiles = {}});
}

}  // namespace

PolicyStore::PolicyStore(std::filesystem::path file, PolicyFile kind) : file_(std::move(file)), kind_(kind) {
  refresh(When::kAlways);
}

PolicyStore::Version PolicyStore::version_of(const struct stat& status) {
  return {status.st_dev, status.st_ino, status.st_size, nanoseconds(status.st_mtim), nanoseconds(status.st_ctim)};
}

PolicyStore::Version PolicyStore::version_now() const {
  struct stat status {};
  return ::stat(file_.c_str(), &status) == 0 ? version_of(status) : Version{};
}

void PolicyStore::read() {
  // O_NONBLOCK: a pipe in its place must not hold the engine up.
  UniqueFd file = open_file(file_, O_RDONLY | O_NONBLOCK);
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) {
    throw system_error(fmt::format("look at '{}'", file_.native()));
  }
  tried_ = version_of(status);
  check_owner(file_, status);
  policy::Policy rules = policy::Policy::parse(read_all(file.get(), policy::kYamlLimit + 1), file_.native());
  check_capabilities(rules);
  auto profiles = read_profiles(rules);
  for (const std::string& warning : rules.warnings()) {
    log::warn("policy {}", warning);
  }
  log::info("policy {} in force: {} rules", file_.native(), rules.rules().size());
  policy_ = std::make_shared<LoadedPolicy>(LoadedPolicy{.rules = std::move(rules), .seccomp_profiles = std::move(profiles)});
  error_.clear();
}

void PolicyStore::refresh(When when) {
  Version now = version_now();
  if (when == When::kChanged && was_tried_ && now == tried_) {
    return;
  }
  bool is_missing = now == Version{};
  if (file_.empty() || (is_missing && kind_ == PolicyFile::kUsual && (policy_ == nullptr || policy_->rules.file().empty()))) {
    policy_ = no_policy();
    was_tried_ = true;
    return;
  }
  tried_ = now;
  was_tried_ = true;
  try {
    read();
  } catch (const Error& error) {
    error_ = error.message();
    if (policy_ != nullptr) {
      log::error("policy: {}; the policy that was in force stays", error_);
    } else {
      log::error("policy: {}; no container is created until this is mended", error_);
    }
  }
}

std::shared_ptr<const LoadedPolicy> PolicyStore::current() {
  std::lock_guard lock(mutex_);
  refresh(When::kChanged);
  if (policy_ == nullptr) {
    throw Error(ErrorCode::kPermissionDenied,
                fmt::format("the policy can't be understood, and without it no container is created: {}", error_));
  }
  return policy_;
}

void PolicyStore::reload() {
  std::lock_guard lock(mutex_);
  refresh(When::kAlways);
}

PolicyStatus PolicyStore::status() {
  std::lock_guard lock(mutex_);
  refresh(When::kChanged);
  bool has_rules = policy_ != nullptr && !policy_->rules.file().empty();
  return {.file = has_rules || !error_.empty() ? file_.native() : "",
          .error = error_,
          .rules = has_rules ? policy_->rules.rules().size() : 0,
          .in_force = policy_ != nullptr};
}

}  // namespace bulkhead::engine
