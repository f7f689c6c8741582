// The guest kernels of one instance: <root>/kernels/<name>/{vmlinux, entry.json}, and the built-in one, which is always first.
//
// Any thread, any process: an entry appears and goes by rename(2), whole. Functions block on the disk.
#pragma once

#include <filesystem>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

namespace bulkhead::kernels {

inline constexpr const char* kBuiltIn = "builtin";

struct Entry {
  std::string name;
  std::string release;  // "6.12.57", as the kernel says; "" where the built-in one doesn't say
  std::filesystem::path kernel;
  std::string digest;           // "sha256:..." of the file, "" for the built-in one
  std::string added;            // RFC 3339, "" for the built-in one
  bool config_checked = false;  // its configuration was there and has what guests need
};

class Catalogue {
 public:
  /// `folder` need not exist; `built_in`: the file of the built-in kernel.
  Catalogue(std::filesystem::path folder, std::filesystem::path built_in)
      : folder_(std::move(folder)), built_in_(std::move(built_in)) {}

  /// The built-in one, then the others, newest release first.
  std::vector<Entry> list() const;
  /// By its name; nullopt where there is none.
  std::optional<Entry> find(const std::string& name) const;

  /// Copies a kernel (an uncompressed vmlinux for x86-64) in. `config`: its configuration file, or "": then nobody can tell
  /// whether it has the drivers that guests need. Throws kInvalidArgument (name, not such a kernel, options missing: all are
  /// named), kConflict where the name is taken.
  Entry add(const std::string& name, const std::filesystem::path& kernel, const std::filesystem::path& config) const;
  /// Throws kNotFound, or kConflict for the built-in one.
  void remove(const std::string& name) const;

 private:
  Entry built_in() const;
  std::optional<Entry> read(const std::string& name) const;

  std::filesystem::path folder_, built_in_;
  // The built-in kernel's release, for as long as its file stays the same: reading it takes milliseconds.
  mutable std::mutex mutex_;  // guards what follows
  mutable std::string known_file_, known_release_;
};

/// [a-z0-9][a-z0-9._-]*, at most 64: also a name of a folder. SECURITY: nothing else reaches the file system.
bool is_kernel_name(const std::string& name);

/// Options that guests need built in ("CONFIG_EROFS_FS") and that this configuration (a kernel's .config) doesn't have as =y.
std::vector<std::string> missing_options(const std::string& config);

/// The release of a kernel's file, mapped for the moment; "" where it names none.
std::string release_of_file(const std::filesystem::path& kernel);

}  // namespace bulkhead::kernels
