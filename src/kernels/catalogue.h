// The guest kernels of one instance: the built-in one, which is always first; those that come with Bulkhead; and those that
// were added: <folder>/<name>/{vmlinux, entry.json} and, where the kernel has modules, modules.cpio (module_archive.h).
//
// Any thread, any process: an entry appears and goes by rename(2), whole. Functions block on the disk.
#pragma once

#include <filesystem>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "kernels/boot.h"

namespace bulkhead::kernels {

inline constexpr const char* kBuiltIn = "builtin";

struct Entry {
  std::string name;
  std::string release;  // "6.12.57", as the kernel says; "" where the built-in one doesn't say
  std::string version;  // "6.1.192" where the release doesn't say it (compat::version_of_build), else ""
  std::filesystem::path kernel;
  std::filesystem::path emulated;  // the same kernel, built for emulation; "": `kernel` serves there too
  std::string digest;              // "sha256:..." of the file, "" for the built-in one
  std::string added;               // RFC 3339, "" for the built-in one
  bool config_checked = false;     // its configuration was there and has what guests need
  bool shipped = false;            // came with Bulkhead: can't be removed
  Boot boot;
};

/// The built-in kernel's files: of one release, with the same features. What an emulator is slow at is left out of the second
/// (guest/emulated.config).
struct BuiltIn {
  std::filesystem::path kernel;
  std::filesystem::path emulated;  // or "": there is one file for all
};

/// What a kernel is added from.
struct KernelFiles {
  // An uncompressed vmlinux or a bzImage ("vmlinuz") for x86-64, or a package of Debian that holds all of this.
  std::filesystem::path kernel;
  std::filesystem::path config;                // or "": then nobody can tell whether it has the drivers that guests need
  std::vector<std::filesystem::path> modules;  // folders, as lib/modules/RELEASE
};

class Catalogue {
 public:
  /// `folder` need not exist; `shipped`: the folder of those that came with the built-in one.
  Catalogue(std::filesystem::path folder, BuiltIn built_in, std::filesystem::path shipped = {})
      : folder_(std::move(folder)), built_in_(std::move(built_in)), shipped_(std::move(shipped)) {}

  /// The built-in one, then the others, newest release first. SECURITY: one that came with Bulkhead is what its name says,
  /// whatever else the folder holds.
  std::vector<Entry> list() const;
  /// By its name; nullopt where there is none.
  std::optional<Entry> find(const std::string& name) const;

  /// Copies a kernel in, decompressed, with those of its modules that guests may need. Blocks for seconds. Throws
  /// kInvalidArgument (name, not such a kernel, options or modules missing: all are named), kConflict where the name is taken.
  /// SECURITY: a range of versions ("6.1", "any") is no name: whoever asks for the range would get this one.
  Entry add(const std::string& name, const KernelFiles& files) const;
  /// Throws kNotFound, or kConflict for one that came with Bulkhead.
  void remove(const std::string& name) const;

 private:
  Entry built_in() const;

  std::filesystem::path folder_;
  BuiltIn built_in_;
  std::filesystem::path shipped_;
  // The built-in kernel's release, for as long as its file stays the same: reading it takes milliseconds.
  mutable std::mutex mutex_;  // guards what follows
  mutable std::string known_file_, known_release_;
};

/// [a-z0-9][a-z0-9._-]*, at most 64: also a name of a folder. SECURITY: nothing else reaches the file system.
bool is_kernel_name(const std::string& name);

/// The release of a kernel's file, mapped for the moment; "" where it names none.
std::string release_of_file(const std::filesystem::path& kernel);

}  // namespace bulkhead::kernels
