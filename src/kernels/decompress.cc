#include "kernels/decompress.h"

#include <fmt/format.h>
#include <lz4.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>

#include "support/error.h"
#include "support/scope_guard.h"

namespace bulkhead::kernels {
namespace {

constexpr size_t kStep = 1UL << 20;

[[noreturn]] void corrupt(const char* format) {
  throw Error(ErrorCode::kDataLoss, fmt::format("the {} data is corrupt or cut off", format));
}

/// SECURITY: what comes out is bounded: a few bytes can stand for gigabytes.
void check_size(size_t size, size_t limit) {
  if (size > limit) {
    throw Error(ErrorCode::kResourceExhausted, fmt::format("decompressed it is larger than {} bytes", limit));
  }
}

/// Room for more output at the end of `out`.
char* extend(std::string& out, size_t filled, size_t limit) {
  check_size(filled, limit);
  out.resize(filled + kStep);
  return out.data() + filled;
}

std::string gunzip(std::string_view bytes, size_t limit) {
  z_stream stream{};
  constexpr int kGzip = 16 + MAX_WBITS;  // no other header
  if (::inflateInit2(&stream, kGzip) != Z_OK) {
    throw Error(ErrorCode::kResourceExhausted, "make a gzip decoder");
  }
  ScopeGuard end([&] { ::inflateEnd(&stream); });
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  std::string out;
  size_t filled = 0;
  for (int result = Z_OK; result != Z_STREAM_END;) {
    stream.next_out = reinterpret_cast<Bytef*>(extend(out, filled, limit));
    stream.avail_out = kStep;
    result = ::inflate(&stream, Z_NO_FLUSH);
    filled += kStep - stream.avail_out;
    if (result != Z_OK && result != Z_STREAM_END) {
      corrupt("gzip");
    }
  }
  out.resize(filled);
  return out;
}

std::string unxz(std::string_view bytes, size_t limit) {
  lzma_stream stream = LZMA_STREAM_INIT;
  constexpr uint64_t kMemory = 256UL << 20;
  if (::lzma_stream_decoder(&stream, kMemory, 0) != LZMA_OK) {
    throw Error(ErrorCode::kResourceExhausted, "make an xz decoder");
  }
  ScopeGuard end([&] { ::lzma_end(&stream); });
  stream.next_in = reinterpret_cast<const uint8_t*>(bytes.data());
  stream.avail_in = bytes.size();
  std::string out;
  size_t filled = 0;
  for (lzma_ret result = LZMA_OK; result != LZMA_STREAM_END;) {
    stream.next_out = reinterpret_cast<uint8_t*>(extend(out, filled, limit));
    stream.avail_out = kStep;
    result = ::lzma_code(&stream, LZMA_RUN);
    filled += kStep - stream.avail_out;
    if (result != LZMA_OK && result != LZMA_STREAM_END) {
      corrupt("xz");
    }
  }
  out.resize(filled);
  return out;
}

std::string unzstd(std::string_view bytes, size_t limit) {
  std::unique_ptr<ZSTD_DStream, size_t (*)(ZSTD_DStream*)> stream(::ZSTD_createDStream(), ::ZSTD_freeDStream);
  ZSTD_inBuffer in{.src = bytes.data(), .size = bytes.size(), .pos = 0};
  std::string out;
  size_t filled = 0;
  for (size_t hint = 1; hint != 0;) {
    ZSTD_outBuffer piece{.dst = extend(out, filled, limit), .size = kStep, .pos = 0};
    size_t before = in.pos;
    hint = ::ZSTD_decompressStream(stream.get(), &piece, &in);
    filled += piece.pos;
    if (::ZSTD_isError(hint) != 0 || (hint != 0 && piece.pos == 0 && in.pos == before)) {
      corrupt("zstd");
    }
  }
  out.resize(filled);
  return out;
}

/// Blocks of at most 8 MiB, each after its size; a size that can't be is the end (the kernel's build appends others).
std::string unlz4(std::string_view bytes, size_t limit) {
  constexpr size_t kMagic = 4;
  constexpr size_t kBlock = 8UL << 20;
  std::string out;
  size_t filled = 0;
  for (bytes.remove_prefix(kMagic); bytes.size() > sizeof(uint32_t);) {
    uint32_t size = 0;
    std::memcpy(&size, bytes.data(), sizeof(size));
    bytes.remove_prefix(sizeof(size));
    if (size == 0 || size > bytes.size()) {
      break;
    }
    out.resize(filled + kBlock);
    int made = ::LZ4_decompress_safe(bytes.data(), out.data() + filled, static_cast<int>(size), static_cast<int>(kBlock));
    if (made < 0) {
      corrupt("LZ4");
    }
    filled += static_cast<size_t>(made);
    check_size(filled, limit);
    bytes.remove_prefix(size);
  }
  if (filled == 0) {
    corrupt("LZ4");
  }
  out.resize(filled);
  return out;
}

}  // namespace

std::optional<std::string> decompress(std::string_view bytes, size_t limit) {
  if (bytes.size() > UINT32_MAX) {
    throw Error(ErrorCode::kResourceExhausted, "compressed data of more than 4 GiB");
  }
  std::optional<std::string> out;
  if (bytes.starts_with("\x1f\x8b\x08")) {
    out = gunzip(bytes, limit);
  } else if (bytes.starts_with("\xfd\x37zXZ")) {
    out = unxz(bytes, limit);
  } else if (bytes.starts_with("\x28\xb5\x2f\xfd")) {
    out = unzstd(bytes, limit);
  } else if (bytes.starts_with("\x02\x21\x4c\x18")) {
    out = unlz4(bytes, limit);
  }
  check_size(out ? out->size() : 0, limit);
  return out;
}

}  // namespace bulkhead::kernels
