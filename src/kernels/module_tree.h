// The modules that belong to a kernel: the folders in which a distribution or a build has put them (lib/modules/RELEASE).
//
// A value of one thread. Blocks on the disk.
#pragma once

#include <filesystem>
#include <map>
#include <set>
#include <string>
#include <vector>

namespace bulkhead::kernels {

class ModuleTree {
 public:
  ModuleTree() = default;
  /// Every *.ko, *.ko.xz, *.ko.zst and *.ko.gz below the folders, by name; the first folder's count most. Symbolic links are
  /// not followed. Throws where a folder is not there.
  explicit ModuleTree(const std::vector<std::filesystem::path>& folders);

  bool has(const std::string& name) const { return files_.count(name) > 0; }
  /// By the kernel's own list (modules.builtin).
  bool is_built_in(const std::string& name) const { return built_in_.count(name) > 0; }
  /// Names that a pattern means: a name, or the beginning of some ("nft_*").
  std::vector<std::string> matching(const std::string& pattern) const;
  /// The module's ELF file, decompressed. Throws naming the file.
  std::string read(const std::string& name) const;

 private:
  std::map<std::string, std::filesystem::path> files_;
  std::set<std::string> built_in_;
};

}  // namespace bulkhead::kernels
