#include "sandbox/vm/shares.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mount.h>

#include "support/error.h"
#include "support/files.h"

namespace bulkhead::sandbox::vm {
namespace {

Share open_share(const ShareSpec& spec, const UniqueFd& user_namespace) {
  uint64_t attributes = MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV | MOUNT_ATTR_NOEXEC;
  if (spec.access == Access::kReadOnly) {
    attributes |= MOUNT_ATTR_RDONLY;
  }
  // SECURITY: open_tree(2) can't be told to follow no link.
  UniqueFd source = spec.links == Links::kNone ? open_exact_file(spec.source, O_PATH) : open_file(spec.source, O_PATH);
  try {
    linux::IdmappedMount made = linux::make_idmapped_mount(source, spec.depth, attributes, user_namespace);
    return {.mount = std::move(made.mount), .kind = made.is_folder ? ShareKind::kFolder : ShareKind::kFile};
  } catch (const Error& error) {
    throw error.wrap(fmt::format("share '{}' with a VM", spec.source.native()));
  }
}

}  // namespace

std::vector<Share> open_shares(const std::vector<ShareSpec>& specs, const UniqueFd& user_namespace) {
  std::vector<Share> shares;
  shares.reserve(specs.size());
  for (const ShareSpec& spec : specs) {
    shares.push_back(open_share(spec, user_namespace));
  }
  return shares;
}

}  // namespace bulkhead::sandbox::vm
