// An image archive read once, from beginning to end: JSON files are kept, everything that may be a layer is unpacked while it
// passes by. What the files mean is found out afterwards (manifest.json often comes last).
// One thread.
#pragma once

#include <cstdint>
#include <exception>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "archive/tar_reader.h"
#include "image/image_store.h"
#include "image/layer_writer.h"
#include "oci/digest.h"
#include "storage/layer_store.h"

namespace bulkhead::image {

struct ArchiveLayer {
  std::optional<storage::NewLayer> unpacked;  // until committed
  oci::Digest diff_id;
  int64_t size = 0;
  std::string chain_id;  // once committed
};

struct ArchiveFile {
  oci::Digest digest;               // of the bytes in the archive
  std::optional<std::string> text;  // of a JSON file
  std::optional<size_t> layer;      // in ArchiveContent::layers
  std::exception_ptr defect;        // why it is no layer
};

class ArchiveContent {
 public:
  /// Reads it all; throws kDataLoss where the archive itself is broken.
  ArchiveContent(storage::LayerStore& store, const ImageStore::ByteSource& read, const ProgressSink& progress);

  /// nullptr where the archive has no such file. Links inside the archive are followed.
  ArchiveFile* find(const std::string& path);
  /// The text of a JSON file; throws kDataLoss naming the path.
  const std::string& text(const std::string& path);
  /// The file blobs/<algorithm>/<hex>, verified. Throws kDataLoss.
  ArchiveFile& blob(const oci::Digest& digest);
  ArchiveLayer& layer(ArchiveFile& file, const std::string& path);

 private:
  void read_file(archive::TarReader& reader, const archive::TarEntry& entry, const std::string& path);
  void read_layer(archive::TarReader& reader, archive::TarReader::Piece first, oci::Hasher& hasher,
                  const archive::TarEntry& entry, ArchiveFile& file);

  storage::LayerStore& store_;
  const ProgressSink& progress_;
  std::map<std::string, ArchiveFile> files_;
  std::map<std::string, std::string> links_;
  std::vector<ArchiveLayer> layers_;
  size_t text_bytes_ = 0;
};

}  // namespace bulkhead::image
