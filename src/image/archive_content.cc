#include "image/archive_content.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "archive/archive_path.h"
#include "image/client_stream.h"
#include "image/decompressor.h"
#include "image/progress_reporter.h"
#include "oci/manifest.h"
#include "support/error.h"

namespace bulkhead::image {
namespace {

// SECURITY: bounds on what one archive makes us hold in memory.
constexpr size_t kMaxTexts = 64UL << 20;
constexpr size_t kMaxFiles = 20'000;
constexpr int kMaxLinkHops = 8;
constexpr std::string_view kBlobs = "blobs/";

bool is_text(const std::string& path, std::string_view first_bytes) {
  constexpr size_t kMagicOffset = 257;  // of "ustar" in a tar's first header
  if (path.ends_with(".tar") || first_bytes.substr(std::min(kMagicOffset, first_bytes.size())).starts_with("ustar")) {
    return false;
  }
  return first_bytes.empty() || path.ends_with(".json") || path == "repositories" || path == "oci-layout" ||
         path.ends_with("VERSION") || first_bytes[0] == '{' || first_bytes[0] == '[';
}

oci::DigestAlgorithm algorithm_of(const std::string& path) {
  return path.starts_with("blobs/sha512/") ? oci::DigestAlgorithm::kSha512 : oci::DigestAlgorithm::kSha256;
}

}  // namespace

ArchiveContent::ArchiveContent(storage::LayerStore& store, const ImageStore::ByteSource& read, const ProgressSink& progress)
    : store_(store), progress_(progress) {
  ClientStream stream(read);
  DecompressedSource source(stream);
  archive::TarReader reader(source);
  for (archive::TarEntry entry; reader.next(entry);) {
    std::string path = archive::clean_archive_path(entry.name);
    if (files_.size() + links_.size() > kMaxFiles) {
      throw Error(ErrorCode::kDataLoss, fmt::format("archive has more than {} files", kMaxFiles));
    }
    if (entry.type == archive::TarEntry::Type::kFile) {
      read_file(reader, entry, path);
    } else if (entry.type == archive::TarEntry::Type::kHardLink) {
      links_[path] = archive::clean_archive_path(entry.link);
    } else if (entry.type == archive::TarEntry::Type::kSymlink) {
      // Older docker saves a layer once and links to it; always to a path inside ("../<id>/layer.tar").
      links_[path] = (std::filesystem::path(path).parent_path() / entry.link).lexically_normal().native();
    }
  }
  reader.drain();
}

void ArchiveContent::read_file(archive::TarReader& reader, const archive::TarEntry& entry, const std::string& path) {
  oci::Hasher hasher(algorithm_of(path));
  archive::TarReader::Piece piece;
  bool any = reader.read(piece);
  ArchiveFile file{.digest = oci::Hasher::of("")};
  if (!is_text(path, any ? piece.bytes : "")) {
    read_layer(reader, piece, hasher, entry, file);
  } else {
    std::string text;
    for (; any; any = reader.read(piece)) {
      text_bytes_ += piece.bytes.size();
      if (text.size() + piece.bytes.size() > oci::kMaxConfigSize || text_bytes_ > kMaxTexts) {
        throw Error(ErrorCode::kDataLoss, fmt::format("file '{}' of the archive is too large", archive::printable(path)));
      }
      text += piece.bytes;
    }
    hasher.update(text);
    file.digest = hasher.finish();
    file.text = std::move(text);
  }
  files_.insert_or_assign(path, std::move(file));
}

void ArchiveContent::read_layer(archive::TarReader& reader, archive::TarReader::Piece first, oci::Hasher& hasher,
                                const archive::TarEntry& entry, ArchiveFile& file) {
  ProgressReporter progress(progress_);
  std::string label = archive::printable(entry.name);
  if (size_t slash = label.rfind('/'); slash != std::string::npos) {
    std::string folder = label.substr(0, slash);
    label = label.ends_with("layer.tar") ? folder.substr(folder.rfind('/') + 1) : label.substr(slash + 1);
  }
  label = label.substr(0, 12);
  try {
    LayerWriter writer(store_.begin());
    int64_t done = 0;
    archive::TarReader::Piece piece = first;
    do {
      hasher.update(piece.bytes);
      writer.write(piece.bytes);
      done += static_cast<int64_t>(piece.bytes.size());
      progress.bar(label, "Loading layer", done, static_cast<int64_t>(entry.size));
    } while (reader.read(piece));
    LayerWriter::Result result = writer.finish();
    file.digest = hasher.finish();
    file.layer = layers_.size();
    layers_.push_back({.unpacked = std::move(result.layer), .diff_id = result.diff_id, .size = result.size, .chain_id = {}});
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kDataLoss && error.code() != ErrorCode::kNotSupported) {
      throw;
    }
    // It matters only where an image says that this is its layer.
    file.defect = std::current_exception();
  }
}

ArchiveFile* ArchiveContent::find(const std::string& path) {
  std::string name = path;
  for (int hop = 0; hop < kMaxLinkHops; ++hop) {
    if (auto found = files_.find(name); found != files_.end()) {
      return &found->second;
    }
    auto link = links_.find(name);
    if (link == links_.end()) {
      return nullptr;
    }
    name = link->second;
  }
  return nullptr;
}

const std::string& ArchiveContent::text(const std::string& path) {
  ArchiveFile* file = find(path);
  if (file == nullptr || !file->text) {
    throw Error(ErrorCode::kDataLoss, fmt::format("archive has no file '{}'", archive::printable(path)));
  }
  return *file->text;
}

ArchiveFile& ArchiveContent::blob(const oci::Digest& digest) {
  const char* algorithm = digest.algorithm() == oci::DigestAlgorithm::kSha256 ? "sha256/" : "sha512/";
  ArchiveFile* file = find(fmt::format("{}{}{}", kBlobs, algorithm, digest.hex()));
  if (file == nullptr) {
    throw Error(ErrorCode::kDataLoss, fmt::format("archive has no blob {}", digest.text()));
  }
  if (file->defect) {
    std::rethrow_exception(file->defect);
  }
  if (file->digest != digest) {
    throw Error(ErrorCode::kDataLoss,
                fmt::format("blob {} of the archive has the digest {}", digest.text(), file->digest.text()));
  }
  return *file;
}

ArchiveLayer& ArchiveContent::layer(ArchiveFile& file, const std::string& path) {
  if (file.defect) {
    std::rethrow_exception(file.defect);
  }
  if (!file.layer) {
    throw Error(ErrorCode::kDataLoss, fmt::format("'{}' of the archive is no layer", archive::printable(path)));
  }
  return layers_[*file.layer];
}

}  // namespace bulkhead::image
