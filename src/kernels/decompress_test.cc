#include "kernels/decompress.h"

#include <gtest/gtest.h>
#include <lz4.h>
#include <lzma.h>
#include <zlib.h>
#include <zstd.h>

#include <cstring>

#include "kernels/bzimage.h"
#include "support/error.h"

namespace bulkhead::kernels {
namespace {

const std::string& text() {
  static const std::string kText = [] {
    std::string made;
    for (int i = 0; i < 200'000; ++i) {
      made += std::to_string(i * 7919);
    }
    return made;
  }();
  return kText;
}

std::string gzip(const std::string& bytes) {
  z_stream stream{};
  deflateInit2(&stream, 1, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&stream, bytes.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = static_cast<uInt>(bytes.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  ::deflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  ::deflateEnd(&stream);
  return out;
}

std::string xz(const std::string& bytes) {
  std::string out(::lzma_stream_buffer_bound(bytes.size()), '\0');
  size_t size = 0;
  ::lzma_easy_buffer_encode(0, LZMA_CHECK_CRC32, nullptr, reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size(),
                            reinterpret_cast<uint8_t*>(out.data()), &size, out.size());
  out.resize(size);
  return out;
}

std::string zstd(const std::string& bytes) {
  std::string out(::ZSTD_compressBound(bytes.size()), '\0');
  out.resize(::ZSTD_compress(out.data(), out.size(), bytes.data(), bytes.size(), 1));
  return out;
}

std::string lz4(const std::string& bytes) {
  std::string block(static_cast<size_t>(::LZ4_compressBound(static_cast<int>(bytes.size()))), '\0');
  auto size = static_cast<uint32_t>(
      ::LZ4_compress_default(bytes.data(), block.data(), static_cast<int>(bytes.size()), static_cast<int>(block.size())));
  block.resize(size);
  std::string out("\x02\x21\x4c\x18");
  out.append(reinterpret_cast<const char*>(&size), sizeof(size));
  return out + block;
}

class Formats : public testing::TestWithParam<std::string (*)(const std::string&)> {};

TEST_P(Formats, ComesBack) {
  std::string packed = GetParam()(text());
  // Not EXPECT_EQ: it would look for the shortest way from one text of megabytes to the other.
  EXPECT_TRUE(decompress(packed, text().size()) == text());
  EXPECT_TRUE(decompress(packed + std::string("\x00\x12\x34", 3), text().size()) == text()) << "what follows doesn't count";
}

TEST_P(Formats, IsBounded) {
  try {
    decompress(GetParam()(text()), text().size() - 1);
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kResourceExhausted);
  }
}

TEST_P(Formats, CorruptionIsTold) {
  std::string packed = GetParam()(text());
  EXPECT_THROW(decompress(packed.substr(0, packed.size() / 2), 64UL << 20), Error);
  EXPECT_THROW(decompress(packed.substr(0, 8), 64UL << 20), Error);
  std::memset(packed.data() + packed.size() / 2, 0xff, 64);
  try {  // LZ4 has no checksum
    EXPECT_FALSE(decompress(packed, 64UL << 20) == text());
  } catch (const Error&) {
  }
}

INSTANTIATE_TEST_SUITE_P(All, Formats, testing::Values(gzip, xz, zstd, lz4));

TEST(Decompress, KnowsWhatItIsNot) {
  EXPECT_EQ(decompress("", 10), std::nullopt);
  EXPECT_EQ(decompress("\177ELF", 10), std::nullopt);
}

std::string bzimage(const std::string& payload) {
  constexpr size_t kSetup = 2048;
  std::string image(kSetup, '\0');
  auto put = [&](size_t offset, uint32_t number, size_t size) { std::memcpy(image.data() + offset, &number, size); };
  put(0x1f1, kSetup / 512 - 1, 1);
  image.replace(0x202, 4, "HdrS");
  put(0x206, 0x20f, 2);
  put(0x248, 16, 4);
  put(0x24c, static_cast<uint32_t>(payload.size()), 4);
  return image + std::string(16, 'x') + payload;
}

TEST(BzImage, HoldsAKernel) {
  EXPECT_EQ(vmlinux_of_bzimage(bzimage(lz4("\177ELF kernel"))), "\177ELF kernel");
  std::string cut = bzimage(lz4(text()));
  cut.resize(cut.size() - 1);
  EXPECT_THROW(vmlinux_of_bzimage(cut), Error);
  EXPECT_THROW(vmlinux_of_bzimage(bzimage("plain")), Error);
  EXPECT_THROW(vmlinux_of_bzimage(""), Error);
  EXPECT_FALSE(is_bzimage("HdrS"));
}

}  // namespace
}  // namespace bulkhead::kernels
