// The parts of an image store, shared by the files that implement it.
#pragma once

#include "image/content_store.h"
#include "image/exclusive_keys.h"
#include "image/image_store.h"
#include "image/image_tables.h"
#include "image/registry_host.h"
#include "storage/layer_store.h"

namespace bulkhead::image {

struct ImageStore::State {
  State(ImageStoreOptions given, Database& database, storage::LayerStore& layer_store)
      : options(std::move(given)),
        layers(layer_store),
        content(options.root),
        tables(database, layer_store, content),
        policy(options.insecure_registries, options.certificates),
        downloads(options.parallel_downloads) {}

  ImageStoreOptions options;
  storage::LayerStore& layers;
  ContentStore content;
  ImageTables tables;
  RegistryPolicy policy;
  ExclusiveKeys fetching;  // chain ids of layers that a pull is bringing
  Slots downloads;
};

}  // namespace bulkhead::image
