#include "archive/tar_reader.h"

#include <gtest/gtest.h>

#include "archive/archive_builder.h"
#include "archive/tar_pax.h"
#include "support/error.h"

namespace bulkhead::archive {
namespace {

struct Read {
  TarEntry entry;
  std::string content;  // holes as NULs
};

std::vector<Read> read_archive(const std::string& bytes, size_t step = 1UL << 20) {
  TextSource source(bytes, step);
  TarReader reader(source);
  std::vector<Read> all;
  for (TarEntry entry; reader.next(entry);) {
    Read read{.entry = entry, .content = std::string(entry.size, '\0')};
    for (TarReader::Piece piece; reader.read(piece);) {
      read.content.replace(piece.offset, piece.bytes.size(), piece.bytes);
    }
    all.push_back(std::move(read));
  }
  reader.drain();
  return all;
}

ErrorCode code_of(const std::string& bytes) {
  try {
    read_archive(bytes);
  } catch (const Error& error) {
    return error.code();
  }
  return ErrorCode::kAlreadyDone;
}

TEST(TarReaderTest, ReadsEntriesInPiecesOfAnySize) {
  std::string bytes = ArchiveBuilder().folder("a/").file("a/b", std::string(1000, 'x')).symlink("c", "a/b").finish();
  for (size_t step : {1UL, 7UL, 511UL, 513UL, 1UL << 20}) {
    std::vector<Read> all = read_archive(bytes, step);
    ASSERT_EQ(all.size(), 3U);
    EXPECT_EQ(all[0].entry.type, TarEntry::Type::kFolder);
    EXPECT_EQ(all[1].content, std::string(1000, 'x'));
    EXPECT_EQ(all[2].entry.link, "a/b");
  }
}

TEST(TarReaderTest, LongAndForeignNamesAreBytes) {
  std::string latin = "caf\xe9";
  std::string longer = std::string(150, 'd') + "/" + std::string(150, 'e') + "\xff";
  std::string bytes = ArchiveBuilder()
                          .file(latin, "1")
                          .pax({{"path", longer}, {"linkpath", "x"}, {"uid", "3000000"}, {"mtime", "1700000000.25"}})
                          .file("short", "2")
                          .add({.name = "././@LongLink", .type = 'L', .content = longer + '\0'})
                          .file("cut", "3")
                          .finish();
  std::vector<Read> all = read_archive(bytes);
  ASSERT_EQ(all.size(), 3U);
  EXPECT_EQ(all[0].entry.name, latin);
  EXPECT_EQ(all[1].entry.name, longer);
  EXPECT_EQ(all[1].entry.uid, 3000000U);
  EXPECT_EQ(all[1].entry.mtime.tv_nsec, 250'000'000);
  EXPECT_EQ(all[2].entry.name, longer);
}

TEST(TarReaderTest, NumbersInBase256AndBeforeTheEpoch) {
  EXPECT_EQ(tar_number(std::string("\x80\0\0\0\0\0\0\0\0\0\1\0", 12)), 256);
  EXPECT_EQ(tar_number(std::string(12, '\xff')), -1);
  EXPECT_THROW(tar_number(std::string("\x80") + std::string(11, '\xff')), Error);
  EXPECT_THROW(tar_number("12x45678"), Error);
  EXPECT_EQ(parse_pax_time("-1.5").tv_sec, -2);
  EXPECT_EQ(parse_pax_time("-1.5").tv_nsec, 500'000'000);
}

TEST(TarReaderTest, SparsePaxFormats) {
  ArchiveBuilder builder;
  builder.pax({{"GNU.sparse.major", "0"},
               {"GNU.sparse.minor", "1"},
               {"GNU.sparse.name", "old"},
               {"GNU.sparse.size", "100"},
               {"GNU.sparse.map", "10,3,50,2"}});
  builder.file("GNUSparseFile.1/old", "abcde");
  std::string map = "2\n10\n3\n50\n2\n";
  map.resize(512, '\0');
  builder.pax(
      {{"GNU.sparse.major", "1"}, {"GNU.sparse.minor", "0"}, {"GNU.sparse.name", "new"}, {"GNU.sparse.realsize", "100"}});
  builder.file("GNUSparseFile.1/new", map + "abcde");
  builder.file("behind", "z");
  std::vector<Read> all = read_archive(builder.finish());
  ASSERT_EQ(all.size(), 3U);
  for (size_t i : {0U, 1U}) {
    EXPECT_EQ(all[i].entry.size, 100U);
    EXPECT_EQ(all[i].content.substr(10, 3), "abc");
    EXPECT_EQ(all[i].content.substr(50, 2), "de");
  }
  EXPECT_EQ(all[1].entry.name, "new");
  EXPECT_EQ(all[2].content, "z");
}

TEST(TarReaderTest, SparseMapsThatLie) {
  for (const char* map : {"10,3,5,2", "99,3,1,2", "0,5,9223372036854775807,1", "0,4", "0", "a,b", "0,6"}) {
    ArchiveBuilder builder;
    builder.pax({{"GNU.sparse.size", "100"}, {"GNU.sparse.map", map}});
    EXPECT_EQ(code_of(builder.file("x", "abcde").finish()), ErrorCode::kDataLoss) << map;
  }
}

TEST(TarReaderTest, ExtendedHeadersOfOneEntryAreBoundedTogether) {
  ArchiveBuilder few;
  ArchiveBuilder many;
  ArchiveBuilder large;
  for (int i = 0; i < 16; ++i) {
    few.pax({{"comment", "x"}});
  }
  for (int i = 0; i < 17; ++i) {
    many.add({.name = "././@LongLink", .type = "xLKg"[i % 4], .content = i % 4 == 0 ? "9 path=a\n" : "a"});
  }
  for (int i = 0; i < 3; ++i) {
    large.pax({{"comment", std::string(900'000, 'x')}});
  }
  EXPECT_EQ(code_of(few.file("a", "").pax({{"comment", "x"}}).file("b", "").finish()), ErrorCode::kAlreadyDone);
  EXPECT_EQ(code_of(many.file("a", "").finish()), ErrorCode::kDataLoss);
  EXPECT_EQ(code_of(large.file("a", "").finish()), ErrorCode::kDataLoss);
}

TEST(TarReaderTest, ExtendedAttributesOfOneEntryAreBoundedTogether) {
  ArchiveBuilder builder;
  for (int header = 0; header < 10; ++header) {
    std::pair<std::string, std::string> record("SCHILY.xattr." + std::string(200, 'x'), "");
    builder.pax(std::vector(40, record));
  }
  EXPECT_EQ(code_of(builder.file("a", "").finish()), ErrorCode::kDataLoss);
}

TEST(TarReaderTest, SparseMapsOfAllFormatsAreBounded) {
  for (const char* record : {"23 GNU.sparse.offset=1\n", "22 GNU.sparse.map=1,1\n"}) {
    PaxRecords records;
    parse_pax(record, records);
    EXPECT_EQ(records.sparse_map.size(), 1U);
  }
  PaxRecords full;
  full.sparse_map.resize(kMaxSegments);
  EXPECT_THROW(parse_pax("23 GNU.sparse.offset=1\n", full), Error);
  std::string map = " GNU.sparse.map=1,1";
  for (size_t i = 0; i < kMaxSegments; ++i) {
    map += ",1,1";
  }
  map = std::to_string(map.size() + 8) + map + "\n";
  PaxRecords records;
  EXPECT_THROW(parse_pax(map, records), Error);
}

TEST(TarReaderTest, RefusesTheMalformed) {
  std::string good = ArchiveBuilder().file("a", std::string(600, 'x')).finish();
  std::string flipped = good;
  flipped[3] = 'z';
  EXPECT_EQ(code_of(flipped), ErrorCode::kDataLoss);  // checksum
  EXPECT_EQ(code_of(good.substr(0, 700)), ErrorCode::kDataLoss);
  EXPECT_EQ(code_of(good.substr(0, 100)), ErrorCode::kDataLoss);
  EXPECT_EQ(code_of(ArchiveBuilder().pax({{"path", "a"}}).unfinished()), ErrorCode::kDataLoss);
  EXPECT_EQ(code_of(ArchiveBuilder().pax({{"path", std::string("a\0b", 3)}}).file("a", "").finish()), ErrorCode::kDataLoss);
  EXPECT_EQ(code_of(ArchiveBuilder().pax({{"uid", "4294967295"}}).file("a", "").finish()), ErrorCode::kDataLoss);
  EXPECT_EQ(code_of(ArchiveBuilder().pax({{"path", std::string(5000, 'a')}}).file("a", "").finish()), ErrorCode::kDataLoss);
  EXPECT_EQ(code_of(ArchiveBuilder().add({.name = "p", .type = 'x', .size = "77777777777"}).finish()), ErrorCode::kDataLoss);
  EXPECT_EQ(code_of(ArchiveBuilder().add({.name = "p", .type = 'x', .content = "99 path=a\n"}).file("a", "").finish()),
            ErrorCode::kDataLoss);
  EXPECT_EQ(code_of(ArchiveBuilder().add({.name = "a", .type = 'M'}).finish()), ErrorCode::kNotSupported);
  EXPECT_EQ(code_of(std::string(10240, 'x')), ErrorCode::kDataLoss);
  EXPECT_EQ(code_of(""), ErrorCode::kAlreadyDone);  // docker's empty layers may have no block at all
}

}  // namespace
}  // namespace bulkhead::archive
