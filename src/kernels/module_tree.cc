#include "kernels/module_tree.h"

#include <fmt/format.h>

#include <sstream>
#include <string_view>

#include "kernels/decompress.h"
#include "kernels/module_info.h"
#include "support/error.h"
#include "support/files.h"

namespace bulkhead::kernels {
namespace {

namespace fs = std::filesystem;

constexpr size_t kMaxModule = 64UL << 20;

/// "nf_tables" of ".../nf-tables.ko.xz"; "" of what is no module's file.
std::string name_of_file(const fs::path& path) {
  std::string file = path.filename();
  size_t end = file.find(".ko");
  std::string_view ending = end == std::string::npos ? std::string_view() : std::string_view(file).substr(end);
  bool is_module = ending == ".ko" || ending == ".ko.xz" || ending == ".ko.zst" || ending == ".ko.gz";
  return is_module && end > 0 ? module_name(file.substr(0, end)) : "";
}

}  // namespace

ModuleTree::ModuleTree(const std::vector<fs::path>& folders) {
  for (const fs::path& folder : folders) {
    std::error_code error;
    fs::recursive_directory_iterator item(folder, error);
    if (error) {
      throw Error(ErrorCode::kInvalidArgument, fmt::format("read the modules in '{}': {}", folder.native(), error.message()));
    }
    for (; item != fs::recursive_directory_iterator(); item.increment(error)) {
      std::string name = item->is_regular_file(error) && !item->is_symlink(error) ? name_of_file(item->path()) : "";
      if (!name.empty()) {
        files_.emplace(std::move(name), item->path());
      } else if (item->path().filename() == "modules.builtin") {
        std::istringstream lines(read_file(item->path(), 4UL << 20));
        for (std::string line; std::getline(lines, line);) {
          built_in_.insert(name_of_file(line));
        }
      }
    }
  }
}

std::vector<std::string> ModuleTree::matching(const std::string& pattern) const {
  std::vector<std::string> names;
  if (!pattern.ends_with('*')) {
    if (has(pattern)) {
      names.push_back(pattern);
    }
    return names;
  }
  std::string prefix = pattern.substr(0, pattern.size() - 1);
  for (auto each = files_.lower_bound(prefix); each != files_.end() && each->first.starts_with(prefix); ++each) {
    names.push_back(each->first);
  }
  return names;
}

std::string ModuleTree::read(const std::string& name) const {
  const fs::path& file = files_.at(name);
  try {
    std::string bytes = read_file(file, kMaxModule);
    auto decompressed = decompress(bytes, kMaxModule);
    return decompressed ? std::move(*decompressed) : bytes;
  } catch (const Error& error) {
    throw error.wrap(fmt::format("read the module '{}'", file.native()));
  }
}

}  // namespace bulkhead::kernels
