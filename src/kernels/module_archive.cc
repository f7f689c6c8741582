#include "kernels/module_archive.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>

#include "kernels/initramfs_archive.h"
#include "kernels/module_info.h"
#include "support/error.h"

namespace bulkhead::kernels {
namespace {

using Names = std::vector<std::string>;

class Selection {
 public:
  Selection(const ModuleTree& tree, std::string release) : tree_(tree), release_(std::move(release)) {}

  /// Takes the module and what it depends on in; returns them all in the order of loading.
  const Names& take(const std::string& name) {
    if (auto known = order_.find(name); known != order_.end()) {
      return known->second;
    }
    std::string bytes = tree_.read(name);
    ModuleInfo info = module_info(bytes);
    if (!info.version_magic.starts_with(release_ + " ")) {
      throw Error(ErrorCode::kInvalidArgument,
                  fmt::format("module '{}' is for Linux {}, not for {}", name,
                              info.version_magic.substr(0, std::min<size_t>(info.version_magic.find(' '), 64)), release_));
    }
    order_[name] = {};  // ends circles, of which soft dependencies may be part
    Names order;
    for (const std::string& need : info.needs) {
      if (!tree_.has(need) && !tree_.is_built_in(need)) {
        throw Error(ErrorCode::kInvalidArgument, fmt::format("module '{}' needs module '{}', which is not there", name, need));
      }
      append(order, need);
    }
    for (const std::string& like : info.likes) {
      append(order, like);
    }
    order.push_back(name);
    note_aliases(name, info);
    contents_[name] = std::move(bytes);
    return order_[name] = std::move(order);
  }

  void write_to(InitramfsArchive& archive) const {
    std::string index;
    for (const auto& [name, order] : order_) {
      index += fmt::format("{} {}\n", name, fmt::join(order.begin(), order.end() - 1, " "));
    }
    archive.add_file("modules/index", index);
    archive.add_file("modules/aliases", aliases_);
    archive.add_file("modules/nodes", nodes_);
    for (const auto& [name, bytes] : contents_) {
      archive.add_file(fmt::format("modules/{}.ko", name), bytes);
    }
  }

 private:
  void append(Names& order, const std::string& name) {
    if (tree_.has(name)) {
      for (const std::string& each : take(name)) {
        if (std::find(order.begin(), order.end(), each) == order.end()) {
          order.push_back(each);
        }
      }
    }
  }

  /// Aliases with wildcards are names of hardware, which guests don't have.
  void note_aliases(const std::string& name, const ModuleInfo& info) {
    constexpr std::string_view kNode = "devname:", kNumber = "char-major-";
    std::string node, number;
    for (const std::string& alias : info.aliases) {
      if (alias.starts_with(kNode)) {
        node = alias.substr(kNode.size());
      } else if (alias.find_first_of("*?[ \n") == std::string::npos) {
        aliases_ += fmt::format("{} {}\n", module_name(alias), name);
        number = alias.starts_with(kNumber) ? alias.substr(kNumber.size()) : number;
      }
    }
    if (size_t dash = number.find('-'); !node.empty() && dash != std::string::npos) {
      nodes_ += fmt::format("{} {} {}\n", node, number.substr(0, dash), number.substr(dash + 1));
    }
  }

  const ModuleTree& tree_;
  const std::string release_;
  std::map<std::string, Names> order_;
  std::map<std::string, std::string> contents_;
  std::string aliases_, nodes_;
};

}  // namespace

std::string make_module_archive(const ModuleTree& tree, const std::string& release, const Names& boot, const Names& on_demand) {
  Selection selection(tree, release);
  Names order;
  for (const std::string& name : boot) {
    if (tree.has(name)) {
      const Names& more = selection.take(name);
      std::copy_if(more.begin(), more.end(), std::back_inserter(order),
                   [&](const std::string& each) { return std::find(order.begin(), order.end(), each) == order.end(); });
    }
  }
  for (const std::string& pattern : on_demand) {
    for (const std::string& name : tree.matching(pattern)) {
      selection.take(name);
    }
  }
  InitramfsArchive archive;
  archive.add_folder("modules");
  archive.add_file("modules/boot", fmt::format("{}\n", fmt::join(order, "\n")));
  selection.write_to(archive);
  return archive.finish();
}

}  // namespace bulkhead::kernels
