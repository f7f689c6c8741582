// An image as the engine sees it: parsed from its OCI (or Docker v2.2) configuration blob. Pure data.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "support/time.h"

namespace bulkhead::image {

/// What the image says about running it (image-spec config.md "config"; Docker adds Shell, Healthcheck, OnBuild).
struct ProcessDefaults {
  std::string user;
  std::vector<std::string> env, entrypoint, cmd;
  std::string working_directory;
  std::string stop_signal;
  std::map<std::string, std::string> labels;
  std::vector<std::string> volumes;        // paths, sorted
  std::vector<std::string> exposed_ports;  // "80/tcp", sorted
  std::string healthcheck_json;            // as in the blob, "" where absent
  std::vector<std::string> shell, on_build;
};

/// Whether the image asks for one to be run: an empty test or NONE asks for none.
bool has_healthcheck(const ProcessDefaults& defaults);

struct HistoryEntry {
  std::string created;  // RFC 3339 as in the blob
  std::string created_by, author, comment;
  bool empty_layer = false;
  int64_t size = 0;  // bytes of the layer on disk, 0 for an empty one
};

struct Image {
  std::string id;                    // "sha256:<hex>", digest of the configuration blob
  std::vector<std::string> tags;     // familiar form, "debian:12", "127.0.0.1:5000/debian:12"
  std::vector<std::string> digests;  // familiar form, "127.0.0.1:5000/debian@sha256:<hex>"
  std::string created, author, comment, docker_version;
  std::string architecture, variant, os, os_version;
  std::vector<std::string> os_features;
  ProcessDefaults config;
  std::vector<std::string> diff_ids;   // "sha256:<hex>" of the uncompressed layers, bottom first
  std::vector<std::string> chain_ids;  // the layer store's keys, bottom first, same length or none
  std::vector<HistoryEntry> history;   // oldest first
  int64_t size = 0;                    // bytes of all layers on disk, shared ones included
};

/// Only what a Linux kernel can run is unpacked. Of an image for Windows the store keeps the configuration: it can be named,
/// inspected and asked where it would run; `chain_ids` is empty.
inline bool has_layers_here(const Image& image) { return image.os == "linux"; }

}  // namespace bulkhead::image
