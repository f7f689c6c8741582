#include "kernels/package.h"

#include <fmt/format.h>

#include "support/command.h"
#include "support/error.h"

namespace bulkhead::kernels {
namespace {

namespace fs = std::filesystem;

/// The one entry of `folder` whose name begins so. SECURITY: a link in a package could name any file of the host.
fs::path find_one(const fs::path& folder, const std::string& prefix, const fs::path& package) {
  fs::path found;
  std::error_code error;
  for (const auto& item : fs::directory_iterator(folder, error)) {
    if (item.path().filename().native().starts_with(prefix) && !item.is_symlink()) {
      if (!found.empty()) {
        throw Error(ErrorCode::kInvalidArgument, fmt::format("'{}' holds more than one {}*", package.native(), prefix));
      }
      found = item.path();
    }
  }
  if (found.empty()) {
    throw Error(ErrorCode::kInvalidArgument, fmt::format("'{}' is no package of a kernel: it holds no {}*", package.native(),
                                                         (folder.lexically_relative(folder.parent_path()) / prefix).native()));
  }
  return found;
}

}  // namespace

bool is_package(const fs::path& file) { return file.extension() == ".deb"; }

KernelFiles unpack_package(const fs::path& file, const fs::path& folder) {
  CommandOutcome outcome;
  try {
    outcome = run_command(
        {.program = "dpkg-deb", .arguments = {"dpkg-deb", "--extract", file.native(), folder.native()}, .folder = {}});
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kNotFound) {
      throw Error(
          ErrorCode::kNotSupported,
          "unpack a package: there is no dpkg-deb here; unpack it elsewhere and add the vmlinuz with --config and --modules");
    }
    throw;
  }
  if (!outcome.succeeded()) {
    throw Error(ErrorCode::kInvalidArgument, fmt::format("unpack '{}': {}", file.native(), outcome.complaint()));
  }
  fs::path modules = fs::is_directory(folder / "usr/lib/modules") ? folder / "usr/lib/modules" : folder / "lib/modules";
  return {.kernel = find_one(folder / "boot", "vmlinuz-", file),
          .config = find_one(folder / "boot", "config-", file),
          .modules = {find_one(modules, "", file)}};
}

}  // namespace bulkhead::kernels
