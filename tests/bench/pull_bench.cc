// Pulls one image into a fresh store, or loads an archive, and says how long it took:
// `pull_bench FOLDER REFERENCE|FILE [--keep]`.
#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <string_view>

#include "database/database.h"
#include "image/image_store.h"
#include "storage/layer_store.h"
#include "support/error.h"
#include "support/files.h"

using namespace bulkhead;

namespace {

image::Image pull(image::ImageStore& images, const char* reference) {
  auto print = [](const image::Progress& line) {
    if (line.total == 0) {
      fmt::print("{}{}{}\n", line.id, line.id.empty() ? "" : ": ", line.status);
    }
  };
  return images.pull({.reference = reference, .platform = {}, .credentials = {}}, print, nullptr);
}

image::Image load(image::ImageStore& images, const char* path) {
  UniqueFd file = open_file(path, O_RDONLY);
  auto read = [&](char* buffer, size_t size) {
    return static_cast<size_t>(std::max<ssize_t>(0, ::read(file.get(), buffer, size)));
  };
  for (const std::string& line : images.load(read, {})) {
    fmt::print("{}\n", line);
  }
  return images.list().at(0);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    fmt::print(stderr, "usage: pull_bench FOLDER REFERENCE [--keep]\n");
    return 2;
  }
  std::filesystem::path root = argv[1];
  bool keep = argc > 3 && std::string_view(argv[3]) == "--keep";
  try {
    if (!keep) {
      std::filesystem::remove_all(root);
    }
    make_folders(root);
    Database database(root / "state.db");
    storage::LayerStore layers(root, database);
    image::ImageStore images({.root = root / "content"}, database, layers);
    auto start = std::chrono::steady_clock::now();
    image::Image image = std::filesystem::exists(argv[2]) ? load(images, argv[2]) : pull(images, argv[2]);
    std::chrono::duration<double> time = std::chrono::steady_clock::now() - start;
    fmt::print("{} {} bytes, {} layers: {:.3f} s\n", image.id, image.size, image.chain_ids.size(), time.count());
    return 0;
  } catch (const Error& error) {
    fmt::print(stderr, "{} ({})\n", error.message(), name(error.code()));
    return 1;
  }
}
