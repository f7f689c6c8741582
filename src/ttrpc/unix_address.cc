#include "ttrpc/unix_address.h"

#include <fcntl.h>
#include <fmt/format.h>

#include <cstring>

#include "support/error.h"
#include "support/files.h"

namespace bulkhead::ttrpc {

UnixAddress::UnixAddress(const std::filesystem::path& path) {
  std::string text = path.native();
  if (text.size() > kMaxSocketPath) {
    folder_ = open_file(path.parent_path(), O_PATH | O_DIRECTORY);
    text = fmt::format("/proc/self/fd/{}/{}", folder_.get(), path.filename().native());
  }
  if (text.empty() || text.size() > kMaxSocketPath || text.find('\0') != std::string::npos) {
    throw Error(ErrorCode::kInvalidArgument, fmt::format("'{}' can't be the path of a unix socket", path.native()));
  }
  address_.sun_family = AF_UNIX;
  std::memcpy(address_.sun_path, text.data(), text.size());
}

}  // namespace bulkhead::ttrpc
