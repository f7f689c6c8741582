#include "kernels/bzimage.h"

#include <cstdint>
#include <cstring>
#include <optional>

#include "compat/kernel_image.h"
#include "kernels/decompress.h"
#include "support/error.h"

namespace bulkhead::kernels {
namespace {

// Offsets of the setup header's fields.
constexpr size_t kSetupSectors = 0x1f1, kMagic = 0x202, kVersion = 0x206, kPayloadOffset = 0x248, kPayloadLength = 0x24c;
constexpr size_t kHeaderEnd = 0x250;
constexpr size_t kSector = 512;

template <typename Number>
Number number_at(std::string_view image, size_t offset) {
  Number number = 0;
  std::memcpy(&number, image.data() + offset, sizeof(number));
  return number;
}

Error broken(const char* why) { return {ErrorCode::kInvalidArgument, std::string("the bzImage ") + why}; }

}  // namespace

bool is_bzimage(std::string_view image) { return image.size() >= kHeaderEnd && image.substr(kMagic, 4) == "HdrS"; }

std::string vmlinux_of_bzimage(std::string_view image) {
  constexpr uint16_t kPayloadSince = 0x0208;
  if (!is_bzimage(image) || number_at<uint16_t>(image, kVersion) < kPayloadSince) {
    throw broken("is older than Linux 2.6.26, or none");
  }
  auto sectors = static_cast<size_t>(number_at<uint8_t>(image, kSetupSectors));
  size_t start = ((sectors == 0 ? 4 : sectors) + 1) * kSector + number_at<uint32_t>(image, kPayloadOffset);
  size_t length = number_at<uint32_t>(image, kPayloadLength);
  if (start > image.size() || length > image.size() - start) {
    throw broken("is cut off");
  }
  std::optional<std::string> vmlinux = decompress(image.substr(start, length), compat::kMaxKernelImage);
  if (!vmlinux) {
    throw broken("is compressed by a method that is neither gzip, xz, zstd nor LZ4");
  }
  return std::move(*vmlinux);
}

}  // namespace bulkhead::kernels
