// Does the kernel that a container would run on have what its image needs? Asked at create, before anything is made.
//
// Thread-safe. What an image's C library needs is read from its layers once, and kept by the topmost layer's chain id: the same
// id is the same content.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "compat/image_needs.h"
#include "engine/container.h"
#include "kernels/catalogue.h"

namespace bulkhead::image {
struct Image;
}
namespace bulkhead::storage {
class LayerStore;
}

namespace bulkhead::engine {

/// Left in a container's annotations where its programs are emulated: their architecture. The shim reads it.
inline constexpr const char* kEmulationAnnotation = "org.bulkhead.emulation";

class KernelFit {
 public:
  KernelFit(storage::LayerStore& layers, const kernels::Catalogue& kernels) : layers_(layers), kernels_(kernels) {}

  /// Throws kNotSupported with what is needed, what is there, and the ways out; kInvalidArgument where the label or annotation
  /// that says what is needed can't be understood. For a container with a kernel of its own: chooses the first of the catalogue
  /// that fits image and annotation org.bulkhead.kernel (a name or a range), and leaves its name in the
  /// annotation. Its programs may be of another architecture where their emulator is installed (kEmulationAnnotation).
  void check(const image::Image& image, Container& container);
  /// The release of the kernel that `container` runs on, where it is none of `wanted`: a name of the catalogue or a range.
  std::optional<std::string> differs(const Container& container, const std::string& wanted) const;

 private:
  void choose_own(compat::ImageNeeds needs, Container& container);
  std::optional<compat::KernelNeed> library_need(const image::Image& image);

  storage::LayerStore& layers_;
  const kernels::Catalogue& kernels_;
  std::mutex mutex_;  // guards what follows
  std::map<std::string, std::optional<compat::KernelNeed>> known_;
};

}  // namespace bulkhead::engine
