#include "archive/unpacker.h"

#include <dirent.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <thread>

#include "archive/archive_builder.h"
#include "archive/archive_path.h"
#include "support/error.h"
#include "support/files.h"

namespace bulkhead::archive {
namespace {

namespace fs = std::filesystem;

class UnpackerTest : public ::testing::Test {
 protected:
  UnpackerTest() {
    std::string name = (fs::temp_directory_path() / "unpack-XXXXXX").native();
    outer_ = ::mkdtemp(name.data());
    root_ = outer_ / "layer";
    fs::create_directory(root_);
    write(outer_ / "secret", "secret");
  }
  ~UnpackerTest() override { fs::remove_all(outer_); }

  static void write(const fs::path& path, const std::string& text) { replace_file(path, text, 0644, Durability::kUnsynced); }

  /// In a thread of its own, as the product does. Returns the error's code, kAlreadyDone for none.
  ErrorCode unpack(const std::string& bytes, size_t max_folder_times = kMaxFolderTimes) {
    ErrorCode code = ErrorCode::kAlreadyDone;
    std::thread([&] {
      try {
        UniqueFd folder = open_file(root_, O_PATH | O_DIRECTORY);
        TextSource source(bytes);
        TarReader reader(source);
        Unpacker(folder.get(), max_folder_times).unpack(reader);
      } catch (const Error& error) {
        code = error.code();
        message_ = error.message();
      }
    }).join();
    return code;
  }

  struct stat info(const std::string& name) {
    struct stat result {};
    EXPECT_EQ(::lstat((root_ / name).c_str(), &result), 0) << name;
    return result;
  }
  std::string xattr(const std::string& name, const char* key) {
    std::array<char, 256> value{};
    ssize_t size = ::lgetxattr((root_ / name).c_str(), key, value.data(), value.size());
    return size < 0 ? "" : std::string(value.data(), static_cast<size_t>(size));
  }
  bool is_whiteout(const std::string& name) {
    struct stat found = info(name);
    return S_ISCHR(found.st_mode) && found.st_rdev == makedev(0, 0);
  }
  /// Nothing but the layer and the untouched secret is in the folder around it.
  void expect_outside_untouched() {
    EXPECT_EQ(read_file(outer_ / "secret"), "secret");
    EXPECT_EQ(std::distance(fs::directory_iterator(outer_), fs::directory_iterator()), 2);
  }

  fs::path outer_, root_;
  std::string message_;
};

#define NEED_ROOT()                                            \
  if (::geteuid() != 0) {                                      \
    GTEST_SKIP() << "needs root: owners, devices, attributes"; \
  }

TEST_F(UnpackerTest, KeepsWhatTheArchiveSays) {
  NEED_ROOT();
  std::string name = "n\xe9 \xff\n";
  ArchiveBuilder builder;
  builder.folder("./", 0700).folder("d/", 01777).add({.name = "d/s", .content = "x", .mode = 04755, .uid = 12, .gid = 34});
  builder.hard_link("h", "d/s").symlink("l", "/etc/passwd").file(name, "bytes");
  builder.add({.name = "fifo", .type = '6', .mode = 0600})
      .add({.name = "dev", .type = '3', .mode = 0666, .major = 1, .minor = 3});
  builder.add({.name = "open", .content = "", .mode = 0666}).file("no/parents/here", "1");
  ASSERT_EQ(unpack(builder.finish()), ErrorCode::kAlreadyDone) << message_;
  EXPECT_EQ(info(".").st_mode & 07777, 0700U);
  EXPECT_EQ(info("d").st_mode & 07777, 01777U);
  EXPECT_EQ(info("d").st_mtim.tv_sec, 1'600'000'000);
  EXPECT_EQ(info("d/s").st_mode & 07777, 04755U);
  EXPECT_EQ(info("d/s").st_uid, 12U);
  EXPECT_EQ(info("d/s").st_gid, 34U);
  EXPECT_EQ(info("h").st_ino, info("d/s").st_ino);
  EXPECT_EQ(fs::read_symlink(root_ / "l"), "/etc/passwd");
  EXPECT_EQ(info("l").st_mtim.tv_sec, 1'600'000'000);
  EXPECT_EQ(read_file(root_ / name), "bytes");
  EXPECT_TRUE(S_ISFIFO(info("fifo").st_mode));
  EXPECT_EQ(info("dev").st_rdev, makedev(1, 3));
  EXPECT_EQ(info("open").st_mode & 07777, 0666U);  // whatever the umask
  EXPECT_EQ(info("no/parents").st_mode & 07777, 0755U);
}

TEST_F(UnpackerTest, RefusesDotDot) {
  for (const char* name : {"../evil", "a/../../evil", "/../evil", "..", "a/.."}) {
    EXPECT_EQ(unpack(ArchiveBuilder().file(name, "x").finish()), ErrorCode::kDataLoss) << name;
  }
  EXPECT_EQ(unpack(ArchiveBuilder().file("a", "x").hard_link("b", "../secret").finish()), ErrorCode::kDataLoss);
  EXPECT_EQ(unpack(ArchiveBuilder().file("../.wh.secret", "").finish()), ErrorCode::kDataLoss);
  EXPECT_EQ(unpack(ArchiveBuilder().file(".wh...", "").finish()), ErrorCode::kDataLoss);
  EXPECT_EQ(unpack(ArchiveBuilder().file(".wh.", "").finish()), ErrorCode::kDataLoss);
  expect_outside_untouched();
}

TEST_F(UnpackerTest, AbsoluteNamesLieInTheLayer) {
  ASSERT_EQ(unpack(ArchiveBuilder().file("/abs/file", "x").finish()), ErrorCode::kAlreadyDone);
  EXPECT_EQ(read_file(root_ / "abs/file"), "x");
}

TEST_F(UnpackerTest, LinksOfTheArchiveLeadNowhereElse) {
  std::string outside = outer_.native();
  EXPECT_EQ(unpack(ArchiveBuilder().symlink("up", "..").file("up/evil", "x").finish()), ErrorCode::kAlreadyDone);
  EXPECT_TRUE(fs::exists(root_ / "evil"));  // ".." of the layer's root is the root
  EXPECT_EQ(unpack(ArchiveBuilder().symlink("abs", outside).file("abs/evil", "x").finish()), ErrorCode::kDataLoss);
  EXPECT_EQ(unpack(ArchiveBuilder().symlink("abs2", outside).folder("abs2/f/").finish()), ErrorCode::kDataLoss);
  EXPECT_EQ(unpack(ArchiveBuilder().symlink("s", outside + "/secret").file("s", "evil").finish()), ErrorCode::kAlreadyDone);
  EXPECT_EQ(unpack(ArchiveBuilder().symlink("t", outside + "/secret").hard_link("u", "t").finish()), ErrorCode::kAlreadyDone);
  EXPECT_TRUE(fs::is_symlink(root_ / "u"));  // a link to the link, not to the secret
  EXPECT_EQ(unpack(ArchiveBuilder().symlink("v", outside).hard_link("w", "v/secret").finish()), ErrorCode::kDataLoss);
  EXPECT_EQ(unpack(ArchiveBuilder().symlink("x", outside).file("x/.wh.secret", "").finish()), ErrorCode::kDataLoss);
  EXPECT_EQ(unpack(ArchiveBuilder().symlink("p", "/proc/self/root").file("p/tmp/evil", "").finish()), ErrorCode::kDataLoss);
  EXPECT_EQ(unpack(ArchiveBuilder().symlink("o", "o").file("o/evil", "").finish()), ErrorCode::kInternal);  // ELOOP
  expect_outside_untouched();
}

TEST_F(UnpackerTest, LinkInPlaceOfAnOpenFolder) {
  // The folder is known from the first entry; then it becomes a link to the outside.
  std::string outside = outer_.native();
  EXPECT_EQ(unpack(ArchiveBuilder().folder("d/").file("d/a", "1").symlink("d", outside).file("d/evil", "x").finish()),
            ErrorCode::kDataLoss);
  expect_outside_untouched();
}

TEST_F(UnpackerTest, Whiteouts) {
  NEED_ROOT();
  ArchiveBuilder builder;
  builder.folder("d/").file("d/.wh..wh..opq", "").file("d/new", "1").file(".wh.gone", "").file("deep/.wh.gone", "");
  builder.file("stays", "1").file(".wh.stays", "").file(".wh..wh.plnk", "");
  builder.folder("both/").file(".wh.both", "").file(".wh.again", "").folder("again/").file("again/x", "");
  ASSERT_EQ(unpack(builder.finish()), ErrorCode::kAlreadyDone) << message_;
  EXPECT_EQ(xattr("d", "trusted.overlay.opaque"), "y");
  EXPECT_TRUE(is_whiteout("gone"));
  EXPECT_TRUE(is_whiteout("deep/gone"));
  EXPECT_EQ(read_file(root_ / "stays"), "1");
  EXPECT_EQ(xattr("both", "trusted.overlay.opaque"), "y");
  EXPECT_EQ(xattr("again", "trusted.overlay.opaque"), "y");
  EXPECT_FALSE(fs::exists(root_ / ".wh..wh.plnk"));
}

TEST_F(UnpackerTest, OnlyHarmlessAttributes) {
  NEED_ROOT();
  std::string capability("\1\0\0\2\0\4\0\0\0\0\0\0\0\0\0\0\0\0\0\0", 20);
  ArchiveBuilder builder;
  builder.pax({{"SCHILY.xattr.user.good", std::string("a\0b", 3)},
               {"SCHILY.xattr.security.capability", capability},
               {"SCHILY.xattr.trusted.overlay.redirect", "/etc"},
               {"SCHILY.xattr.trusted.overlay.opaque", "y"},
               {"SCHILY.xattr.user.overlay.opaque", "y"}});
  builder.add({.name = "f", .content = "x", .uid = 5});
  ASSERT_EQ(unpack(builder.finish()), ErrorCode::kAlreadyDone) << message_;
  EXPECT_EQ(xattr("f", "user.good"), std::string("a\0b", 3));
  EXPECT_EQ(xattr("f", "security.capability"), capability);
  EXPECT_EQ(xattr("f", "trusted.overlay.redirect"), "");
  EXPECT_EQ(xattr("f", "trusted.overlay.opaque"), "");
  EXPECT_EQ(xattr("f", "user.overlay.opaque"), "");
}

TEST_F(UnpackerTest, LaterEntriesReplaceEarlierOnes) {
  ArchiveBuilder builder;
  builder.file("f", "1").file("f", "22").folder("d/").file("d/x", "1").file("d", "now a file").file("e", "").folder("e/");
  ASSERT_EQ(unpack(builder.finish()), ErrorCode::kAlreadyDone) << message_;
  EXPECT_EQ(read_file(root_ / "f"), "22");
  EXPECT_EQ(read_file(root_ / "d"), "now a file");
  EXPECT_TRUE(fs::is_directory(root_ / "e"));
}

TEST_F(UnpackerTest, WhatIsKeptOfFoldersIsBounded) {
  ArchiveBuilder same;
  ArchiveBuilder others;
  for (int i = 0; i < 100; ++i) {
    same.add({.name = "d/", .type = '5', .mode = 0755, .mtime = 1'000 + i});
    others.folder("d" + std::to_string(i));
  }
  EXPECT_EQ(unpack(same.finish(), 1000), ErrorCode::kAlreadyDone) << message_;
  EXPECT_EQ(info("d").st_mtim.tv_sec, 1'099);  // what was said last
  EXPECT_EQ(unpack(others.finish(), 1000), ErrorCode::kResourceExhausted);
  EXPECT_NE(message_.find("too many folders"), std::string::npos) << message_;
}

TEST_F(UnpackerTest, SparseFilesStaySparse) {
  ArchiveBuilder builder;
  builder.pax({{"GNU.sparse.size", "1073741824"}, {"GNU.sparse.map", "536870912,5"}});
  builder.file("big", "abcde");
  ASSERT_EQ(unpack(builder.finish()), ErrorCode::kAlreadyDone) << message_;
  EXPECT_EQ(info("big").st_size, 1073741824);
  EXPECT_LT(info("big").st_blocks, 1024);
}

TEST(ArchivePathTest, Cleans) {
  EXPECT_EQ(clean_archive_path("./a//b/./c/"), "a/b/c");
  EXPECT_EQ(clean_archive_path("/"), "");
  EXPECT_EQ(clean_archive_path("..a/b.."), "..a/b..");
  EXPECT_THROW(clean_archive_path(std::string(300, 'a')), Error);
  EXPECT_EQ(printable("a\xff\n"), "a\\xff\\x0a");
}

TEST_F(UnpackerTest, AFolderThatGivesItsGroupGivesItToNobodyInALayer) {
  if (::geteuid() != 0) {
    GTEST_SKIP() << "only root may give files away";
  }
  std::string archive = ArchiveBuilder()
                            .add({.name = "mail", .type = '5', .mode = 02775, .gid = 8})
                            .file("mail/file", "x")
                            .folder("mail/folder", 0755)
                            .symlink("mail/link", "file")
                            .finish();
  EXPECT_EQ(unpack(archive), ErrorCode::kAlreadyDone) << message_;
  EXPECT_EQ(info("mail").st_gid, 8U);
  EXPECT_EQ(info("mail").st_mode & 07777U, 02775U);
  EXPECT_EQ(info("mail/file").st_gid, 0U);
  EXPECT_EQ(info("mail/link").st_gid, 0U);
  EXPECT_EQ(info("mail/folder").st_gid, 0U);
  EXPECT_EQ(info("mail/folder").st_mode & 07777U, 0755U);
}

}  // namespace
}  // namespace bulkhead::archive
