// Small content-addressed files: image configurations and manifests, as <root>/sha256/<hex>. What is read is verified, so a
// file that a power loss damaged is as good as missing. Thread-safe; blocks on the disk.
#pragma once

#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "oci/digest.h"

namespace bulkhead::image {

class ContentStore {
 public:
  /// Makes the folders, removes what a crash left half-written.
  explicit ContentStore(std::filesystem::path root);

  oci::Digest put(std::string_view bytes);
  void put(const oci::Digest& digest, std::string_view bytes);
  /// nullopt where it is missing or no longer has its digest.
  std::optional<std::string> get(const oci::Digest& digest) const;
  void remove(const oci::Digest& digest);
  /// Removes everything else: what a crash left of a pull.
  void retain_only(const std::set<std::string>& digests);

 private:
  std::filesystem::path path(const oci::Digest& digest) const;
  std::filesystem::path root_;
};

}  // namespace bulkhead::image
