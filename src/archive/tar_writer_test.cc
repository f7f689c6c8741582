#include "archive/tar_writer.h"

#include <gtest/gtest.h>

#include "archive/archive_builder.h"

namespace bulkhead::archive {
namespace {

TarEntry read_back(const TarEntry& entry, const std::string& content = "") {
  TextSource source(tar_header(entry) + content + std::string(tar_padding(content.size()) + kTarEnd, '\0'), 777);
  TarReader reader(source);
  TarEntry found;
  EXPECT_TRUE(reader.next(found));
  if (found.type == TarEntry::Type::kFile) {
    EXPECT_EQ(reader.read_all(1 << 20, "it"), content);
  }
  TarEntry none;
  EXPECT_FALSE(reader.next(none));
  return found;
}

TEST(TarWriter, PlainEntryComesBack) {
  TarEntry entry;
  entry.name = "a/b";
  entry.mode = 04755;
  entry.uid = 1000;
  entry.gid = 50;
  entry.mtime.tv_sec = 1'700'000'000;
  entry.size = 5;
  TarEntry found = read_back(entry, "hello");
  EXPECT_EQ(found.name, "a/b");
  EXPECT_EQ(found.mode, 04755U);
  EXPECT_EQ(found.uid, 1000U);
  EXPECT_EQ(found.gid, 50U);
  EXPECT_EQ(found.mtime.tv_sec, 1'700'000'000);
  EXPECT_EQ(tar_header(entry).size(), 512U);  // nothing that old readers don't know
}

TEST(TarWriter, WhatUstarCantSayComesBackToo) {
  TarEntry entry;
  entry.type = TarEntry::Type::kSymlink;
  entry.name = std::string(150, 'n') + "/\xff\xfe";
  entry.link = std::string(200, 'l');
  entry.uid = 4'000'000'000U;
  entry.gid = 3'000'000U;
  entry.mtime.tv_sec = -5;
  entry.xattrs = {{"security.capability", std::string("\1\0\n=\2", 5)}};
  TarEntry found = read_back(entry);
  EXPECT_EQ(found.type, TarEntry::Type::kSymlink);
  EXPECT_EQ(found.name, entry.name);
  EXPECT_EQ(found.link, entry.link);
  EXPECT_EQ(found.uid, entry.uid);
  EXPECT_EQ(found.gid, entry.gid);
  EXPECT_EQ(found.mtime.tv_sec, -5);
  EXPECT_EQ(found.xattrs, entry.xattrs);
}

TEST(TarWriter, NamesOfEveryLengthComeBack) {
  for (size_t length = 90; length < 110; ++length) {
    TarEntry entry;
    entry.name = std::string(length, 'n');
    EXPECT_EQ(read_back(entry).name, entry.name);
    entry.type = TarEntry::Type::kFolder;
    EXPECT_EQ(read_back(entry).name, entry.name + "/");
  }
}

TEST(TarWriter, DevicesComeBack) {
  TarEntry entry;
  entry.type = TarEntry::Type::kCharacterDevice;
  entry.name = "null";
  entry.device_major = 1;
  entry.device_minor = 3;
  TarEntry found = read_back(entry);
  EXPECT_EQ(found.type, TarEntry::Type::kCharacterDevice);
  EXPECT_EQ(found.device_major, 1U);
  EXPECT_EQ(found.device_minor, 3U);
}

}  // namespace
}  // namespace bulkhead::archive
