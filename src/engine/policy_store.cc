#include "engine/policy_store.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <algorithm>

#include "policy/policy_file.h"
#include "support/error.h"
#include "support/log.h"

namespace bulkhead::engine {
namespace {

int64_t nanoseconds(const timespec& time) { return static_cast<int64_t>(time.tv_sec) * 1'000'000'000 + time.tv_nsec; }

std::shared_ptr<const LoadedPolicy> no_policy() {
  return std::make_shared<LoadedPolicy>(LoadedPolicy{.rules = policy::Policy::none(), .seccomp_profiles = {}});
}

}  // namespace

PolicyStore::PolicyStore(std::filesystem::path file, PolicyFile kind) : file_(std::move(file)), kind_(kind) {
  refresh(When::kAlways);
}

PolicyStore::Version PolicyStore::version_of(const std::filesystem::path& file) {
  struct stat status {};
  if (::stat(file.c_str(), &status) != 0) {
    return {};
  }
  return {status.st_dev, status.st_ino, status.st_size, nanoseconds(status.st_mtim), nanoseconds(status.st_ctim)};
}

bool PolicyStore::is_as_tried() const {
  return !tried_.empty() &&
         std::all_of(tried_.begin(), tried_.end(), [](const auto& file) { return version_of(file.first) == file.second; });
}

void PolicyStore::read() {
  policy::Policy rules = policy::read_policy(file_);
  for (const policy::NamedProfile& profile : rules.seccomp_profiles()) {
    tried_[profile.path] = version_of(profile.path);
  }
  auto profiles = policy::read_profiles(rules);
  for (const std::string& warning : rules.warnings()) {
    log::warn("policy {}", warning);
  }
  log::info("policy {} in force: {} rules", file_.native(), rules.rules().size());
  policy_ = std::make_shared<LoadedPolicy>(LoadedPolicy{.rules = std::move(rules), .seccomp_profiles = std::move(profiles)});
  error_.clear();
}

void PolicyStore::refresh(When when) {
  if (when == When::kChanged && is_as_tried()) {
    return;
  }
  // Looked at before it is read: what changes meanwhile is read once more.
  tried_ = {{file_, version_of(file_)}};
  bool is_missing = tried_[file_] == Version{};
  if (file_.empty() || (is_missing && kind_ == PolicyFile::kUsual && (policy_ == nullptr || policy_->rules.file().empty()))) {
    policy_ = no_policy();
    return;
  }
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
