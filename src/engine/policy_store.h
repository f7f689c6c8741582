// The policy in force: the file as it was last understood. Owned by the engine; thread-safe.
//
// SECURITY: fails closed. A file that can't be understood when the engine starts lets nothing be created until it is mended; a
// mistake in a later version is reported, and the version before it stays in force. A file that others than root may write is
// a mistake, and so is such a seccomp profile.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <tuple>

#include "policy/policy.h"

namespace bulkhead::engine {

struct LoadedPolicy {
  policy::Policy rules;
  std::map<std::string, std::string> seccomp_profiles;  // text by path
};

/// A file that the administrator named has to be there; the one in the usual place need not.
enum class PolicyFile { kNamed, kUsual };

struct PolicyStatus {
  std::string file;      // "": none
  std::string error;     // of the newest version of the file; "" where it is in force
  size_t rules = 0;      // in force
  bool in_force = true;  // false: nothing may be created
};

class PolicyStore {
 public:
  PolicyStore(std::filesystem::path file, PolicyFile kind);
  /// Reads the file again where it, or a profile that it names, isn't what was read last; blocks for a stat(2) of each else.
  /// Throws kPermissionDenied where no version of it was ever understood.
  std::shared_ptr<const LoadedPolicy> current();
  /// Reads the file again in any case.
  void reload();
  PolicyStatus status();

 private:
  /// Which version of the file: device, inode, size, times of change in nanoseconds. All zero: none there.
  using Version = std::tuple<dev_t, ino_t, off_t, int64_t, int64_t>;
  enum class When { kChanged, kAlways };
  static Version version_of(const std::filesystem::path& file);
  bool is_as_tried() const;
  void refresh(When when);
  void read();

  const std::filesystem::path file_;
  const PolicyFile kind_;
  std::mutex mutex_;
  std::map<std::filesystem::path, Version>
      tried_;  // what was last read, understood or not: the file, and profiles that it names
  std::shared_ptr<const LoadedPolicy> policy_;
  std::string error_;
};

}  // namespace bulkhead::engine
