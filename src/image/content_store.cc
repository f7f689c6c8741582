#include "image/content_store.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

#include "oci/manifest.h"
#include "support/error.h"
#include "support/files.h"
#include "support/random.h"

namespace bulkhead::image {

namespace fs = std::filesystem;

ContentStore::ContentStore(fs::path root) : root_(std::move(root)) {
  for (const char* algorithm : {"sha256", "sha512"}) {
    make_folders(root_ / algorithm, 0700);
    for (const auto& entry : fs::directory_iterator(root_ / algorithm)) {
      if (entry.path().filename().native().starts_with('.')) {
        ::unlink(entry.path().c_str());
      }
    }
  }
}

fs::path ContentStore::path(const oci::Digest& digest) const {
  const char* algorithm = digest.algorithm() == oci::DigestAlgorithm::kSha256 ? "sha256" : "sha512";
  return root_ / algorithm / digest.hex();
}

oci::Digest ContentStore::put(std::string_view bytes) {
  oci::Digest digest = oci::Hasher::of(bytes);
  put(digest, bytes);
  return digest;
}

void ContentStore::put(const oci::Digest& digest, std::string_view bytes) {
  if (get(digest)) {
    return;
  }
  // A name of its own: two pulls may write the same content at once.
  fs::path target = path(digest);
  fs::path temporary = target.parent_path() / ("." + random_hex(8));
  UniqueFd file = open_file(temporary, O_WRONLY | O_CREAT | O_EXCL, 0600);
  try {
    write_all(file.get(), bytes);
    file.close();
    if (::rename(temporary.c_str(), target.c_str()) != 0) {
      throw system_error("rename");
    }
  } catch (const Error& error) {
    ::unlink(temporary.c_str());
    throw error.wrap(fmt::format("write '{}'", target.native()));
  }
}

std::optional<std::string> ContentStore::get(const oci::Digest& digest) const {
  UniqueFd file(::open(path(digest).c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) {
    return std::nullopt;
  }
  std::string bytes = read_all(file.get(), oci::kMaxConfigSize);
  if (oci::Hasher::of(bytes, digest.algorithm()) != digest) {
    return std::nullopt;
  }
  return bytes;
}

void ContentStore::remove(const oci::Digest& digest) { ::unlink(path(digest).c_str()); }

void ContentStore::retain_only(const std::set<std::string>& digests) {
  for (const char* algorithm : {"sha256", "sha512"}) {
    for (const auto& entry : fs::directory_iterator(root_ / algorithm)) {
      if (!digests.contains(fmt::format("{}:{}", algorithm, entry.path().filename().native()))) {
        ::unlink(entry.path().c_str());
      }
    }
  }
}

}  // namespace bulkhead::image
