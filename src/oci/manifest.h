// Image manifests and indexes (OCI image-spec 1.1; Docker "Image Manifest Version 2, Schema 2") as data, and the choice of a
// platform from an index. Pure data and parsing of bytes that a registry or an archive made: hostile until verified.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "oci/digest.h"

namespace bulkhead::oci {

// SECURITY: bounds on what is held in memory for one image before anything is verified.
inline constexpr size_t kMaxManifestSize = 4UL << 20;
inline constexpr size_t kMaxConfigSize = 16UL << 20;
// overlayfs takes at most 500 lower layers, Docker at most 127 in an image.
inline constexpr size_t kMaxLayers = 127;

struct Platform {
  std::string os, architecture, variant, os_version;
  std::vector<std::string> os_features;
};

struct Descriptor {
  std::string media_type;
  Digest digest;
  int64_t size = 0;
  std::optional<Platform> platform;
};

struct Manifest {
  Descriptor config;
  std::vector<Descriptor> layers;  // bottom first
};

struct Index {
  std::vector<Descriptor> manifests;
  std::vector<std::string> reference_names;  // "org.opencontainers.image.ref.name" and containerd's, by position, or ""
};

/// What the layers are wanted for: those of an image for another operating system are not fetched, so they may be of any kind.
enum class LayerUse { kUnpack, kNone };

/// `media_type` is what the registry's Content-Type or the descriptor said, "" where unknown. Throws kDataLoss (not JSON,
/// malformed, too large, or both index and manifest: CVE-2021-41190) or kNotSupported (schema 1, artifacts, foreign layers).
std::variant<Index, Manifest> parse_manifest(std::string_view bytes, std::string_view media_type,
                                             LayerUse use = LayerUse::kUnpack);

/// The media types of parse_manifest, as an HTTP Accept value.
std::string_view accepted_manifest_types();

/// "linux/amd64", "linux/arm/v7", "arm64": missing parts are the host's; aliases ("x86_64", "aarch64") are normalised.
/// Throws kInvalidArgument naming the text.
Platform parse_platform(std::string_view text);
Platform host_platform();
std::string to_string(const Platform& platform);

/// How well `offered` serves `wanted`: 0 best, larger is worse; nullopt: not at all. An arm/v7 machine also runs v6 and v5,
/// arm64 also runs arm, amd64 also runs 386 (in this order of preference, as containerd chooses).
std::optional<int> platform_distance(const Platform& wanted, const Platform& offered);

/// The best manifest of an index, nullptr where none serves.
const Descriptor* select_platform(const Index& index, const Platform& wanted);

}  // namespace bulkhead::oci
