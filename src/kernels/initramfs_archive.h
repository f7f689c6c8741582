// An archive that the kernel unpacks into its first root: cpio, "newc"
// (Documentation/driver-api/early-userspace/buffer-format.rst). The kernel takes several of them one after the other.
//
// A value of one thread. The same bytes for the same content.
#pragma once

#include <string>
#include <string_view>

namespace bulkhead::kernels {

class InitramfsArchive {
 public:
  /// Folders come before what is in them. Paths are relative, without "." and "..".
  void add_folder(std::string_view path);
  void add_file(std::string_view path, std::string_view content, unsigned mode = 0644);
  /// The whole archive; nothing may be added afterwards.
  std::string finish();

 private:
  void add_entry(std::string_view path, unsigned mode, std::string_view content);
  std::string bytes_;
  unsigned entries_ = 0;
};

}  // namespace bulkhead::kernels
