#include "kernels/initramfs_archive.h"

#include <fmt/format.h>
#include <sys/stat.h>

#include <iterator>
#include <utility>

namespace bulkhead::kernels {

void InitramfsArchive::add_entry(std::string_view path, unsigned mode, std::string_view content) {
  constexpr size_t kAlignment = 4;
  const auto pad = [this] { bytes_.append((kAlignment - bytes_.size() % kAlignment) % kAlignment, '\0'); };
  // Magic, inode, mode, uid, gid, links, mtime, size, device (2), special device (2), length of the name, checksum.
  fmt::format_to(std::back_inserter(bytes_),
                 "070701{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}{:08X}", ++entries_, mode, 0, 0,
                 1, 0, content.size(), 0, 0, 0, 0, path.size() + 1, 0);
  bytes_ += path;
  bytes_ += '\0';
  pad();
  bytes_ += content;
  pad();
}

void InitramfsArchive::add_folder(std::string_view path) { add_entry(path, S_IFDIR | 0755U, {}); }

void InitramfsArchive::add_file(std::string_view path, std::string_view content, unsigned mode) {
  add_entry(path, S_IFREG | mode, content);
}

std::string InitramfsArchive::finish() {
  add_entry("TRAILER!!!", 0, {});
  return std::move(bytes_);
}

}  // namespace bulkhead::kernels
