#include "image/decompressor.h"

#include <gtest/gtest.h>
#include <isa-l/igzip_lib.h>
#include <zstd.h>

#include <string>
#include <thread>
#include <vector>

#include "archive/archive_builder.h"
#include "image/byte_pipe.h"
#include "support/error.h"

namespace bulkhead::image {
namespace {

std::string sample() {
  std::string text;
  for (int i = 0; i < 50'000; ++i) {
    text += std::to_string(i * 7919);
  }
  return text;
}

std::string gzip(const std::string& text) {
  std::string result(text.size() + 1024, '\0');
  isal_zstream stream;
  isal_deflate_stateless_init(&stream);
  stream.gzip_flag = IGZIP_GZIP;
  stream.end_of_stream = 1;
  stream.next_in = reinterpret_cast<uint8_t*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uint32_t>(text.size());
  stream.next_out = reinterpret_cast<uint8_t*>(result.data());
  stream.avail_out = static_cast<uint32_t>(result.size());
  EXPECT_EQ(isal_deflate_stateless(&stream), COMP_OK);
  result.resize(stream.total_out);
  return result;
}

std::string zstd(const std::string& text) {
  std::string result(ZSTD_compressBound(text.size()), '\0');
  result.resize(ZSTD_compress(result.data(), result.size(), text.data(), text.size(), 3));
  return result;
}

std::string decompress(const std::string& bytes, size_t step = 1UL << 20) {
  archive::TextSource source(bytes, step);
  std::unique_ptr<Decompressor> decompressor = make_decompressor(source);
  std::string result;
  std::string buffer(10'000, '\0');
  while (size_t count = decompressor->read(buffer)) {
    result += buffer.substr(0, count);
  }
  return result;
}

ErrorCode code_of(const std::string& bytes) {
  try {
    decompress(bytes);
  } catch (const Error& error) {
    return error.code();
  }
  return ErrorCode::kAlreadyDone;
}

TEST(DecompressorTest, AnyFormatInPiecesOfAnySize) {
  std::string text = sample();
  for (size_t step : {1UL, 3UL, 1000UL, 1UL << 20}) {
    EXPECT_EQ(decompress(gzip(text), step), text) << step;
    EXPECT_EQ(decompress(zstd(text), step), text) << step;
    EXPECT_EQ(decompress(text, step), text) << step;
  }
  EXPECT_EQ(decompress(""), "");
  EXPECT_EQ(decompress("ab"), "ab");
}

TEST(DecompressorTest, SeveralMembers) {
  EXPECT_EQ(decompress(gzip("one") + gzip("two"), 1), "onetwo");
  EXPECT_EQ(decompress(gzip("one") + gzip("two")), "onetwo");
  EXPECT_EQ(decompress(zstd("one") + zstd("two"), 1), "onetwo");
  EXPECT_EQ(decompress(gzip("") + gzip("x")), "x");
}

TEST(DecompressorTest, RefusesTheCorrupt) {
  for (const std::string& good : {gzip(sample()), zstd(sample())}) {
    EXPECT_EQ(code_of(good.substr(0, good.size() / 2)), ErrorCode::kDataLoss);
    EXPECT_EQ(code_of(good.substr(0, good.size() - 1)), ErrorCode::kDataLoss);
    EXPECT_EQ(code_of(good.substr(0, 7)), ErrorCode::kDataLoss);
    EXPECT_EQ(code_of(good + "garbage"), ErrorCode::kDataLoss);
  }
  std::string flipped = gzip(sample());
  flipped[flipped.size() - 6] = static_cast<char>(flipped[flipped.size() - 6] ^ 1);  // the checksum
  EXPECT_EQ(code_of(flipped), ErrorCode::kDataLoss);
  EXPECT_EQ(code_of("BZh91AY&SY"), ErrorCode::kNotSupported);
  EXPECT_EQ(code_of(std::string("\xfd"
                                "7zXZ\0",
                                6)),
            ErrorCode::kNotSupported);
}

TEST(BytePipeTest, CarriesBytesAndEnds) {
  BytePipe pipe(16, 3);
  std::string text = sample();
  std::thread writer([&] {
    pipe.write(text);
    pipe.finish();
  });
  std::string result;
  for (std::string_view piece = pipe.next(); !piece.empty(); piece = pipe.next()) {
    result += piece;
  }
  writer.join();
  EXPECT_EQ(result, text);
}

TEST(BytePipeTest, EitherSideMayGiveUp) {
  BytePipe abandoned(16, 2);
  std::thread reader([&] {
    abandoned.next();
    abandoned.abandon();
  });
  EXPECT_THROW(abandoned.write(sample()), Error);
  reader.join();

  BytePipe failing(16, 2);
  failing.fail(std::make_exception_ptr(Error(ErrorCode::kUnavailable, "gone")));
  EXPECT_THROW(failing.next(), Error);
}

}  // namespace
}  // namespace bulkhead::image
