// Requests about files, carried out in a folder that stands for a container's root. What lies beside it must stay out of reach.
#include "archive/file_work.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <thread>

#include "archive/archive_builder.h"
#include "archive/packer.h"
#include "archive/root.h"
#include "archive/tar_reader.h"
#include "support/error.h"
#include "support/files.h"
#include "support/remove_tree.h"

namespace bulkhead::archive {
namespace {

namespace fs = std::filesystem;
using Kind = FileRequest::Kind;

TEST(CleanRequestPath, KeepsWhatTheEndSays) {
  EXPECT_EQ(clean_request_path("a/../b"), "/b");
  EXPECT_EQ(clean_request_path("/../../etc//x"), "/etc/x");
  EXPECT_EQ(clean_request_path("/etc/"), "/etc/");
  EXPECT_EQ(clean_request_path("/etc/."), "/etc/.");
  EXPECT_EQ(clean_request_path("/"), "/");
  EXPECT_EQ(clean_request_path("/."), "/.");
  EXPECT_EQ(clean_request_path("."), "/.");
  EXPECT_EQ(clean_request_path("//x"), "/x");
  EXPECT_THROW(clean_request_path(std::string("a\0b", 3)), Error);
  EXPECT_THROW(clean_request_path(std::string(5000, 'a')), Error);
}

TEST(BaseName, IsTheLastPart) {
  EXPECT_EQ(base_name("/a/b"), "b");
  EXPECT_EQ(base_name("/a/b/"), "b");
  EXPECT_EQ(base_name("/a/."), ".");
  EXPECT_EQ(base_name("/"), "/");
}

class FileWorkTest : public ::testing::Test {
 protected:
  FileWorkTest() {
    std::string name = (fs::temp_directory_path() / "files-XXXXXX").native();
    outer_ = ::mkdtemp(name.data());
    root_ = outer_ / "root";
    fs::create_directories(root_ / "etc");
    write(outer_ / "secret", "secret");
    write(root_ / "etc/hosts", "127.0.0.1");
  }
  ~FileWorkTest() override { fs::remove_all(outer_); }

  static void write(const fs::path& path, const std::string& text) { replace_file(path, text, 0644, Durability::kUnsynced); }

  /// In a thread of its own, as the product does. Throws what it throws.
  PathStat work(const FileRequest& request, int stream) {
    PathStat found;
    std::exception_ptr failure;
    std::thread([&] {
      try {
        UniqueFd root = open_file(root_, O_PATH | O_DIRECTORY);
        found = work_on_files(root.get(), request, stream);
      } catch (...) {
        failure = std::current_exception();
      }
    }).join();
    if (failure) {
      std::rethrow_exception(failure);
    }
    return found;
  }

  PathStat stat(const std::string& path) { return work({.kind = Kind::kStat, .path = path, .owner = {}}, -1); }

  std::map<std::string, std::string> pack(const std::string& path) {
    UniqueFd file = open_file(outer_ / "archive", O_RDWR | O_CREAT | O_TRUNC, 0600);
    work({.kind = Kind::kPack, .path = path, .owner = {}}, file.get());
    std::map<std::string, std::string> found;
    for (const auto& [name, entry] : entries()) {
      found[name] = entry.type == TarEntry::Type::kFile ? entry.content : entry.link;
    }
    return found;
  }

  /// The error's code; kAlreadyDone for none.
  ErrorCode pack_with(size_t max_bytes, const std::string& path) {
    UniqueFd root = open_file(root_, O_PATH | O_DIRECTORY);
    UniqueFd file = open_file(outer_ / "archive", O_RDWR | O_CREAT | O_TRUNC, 0600);
    try {
      Packer(root.get(), file.get(), max_bytes).pack(path);
    } catch (const Error& error) {
      message_ = error.message();
      return error.code();
    }
    return ErrorCode::kAlreadyDone;
  }

  struct Packed {
    TarEntry::Type type;
    std::string link, content;
  };
  /// What was packed.
  std::map<std::string, Packed> entries() {
    std::string bytes = read_file(outer_ / "archive");
    TextSource source(bytes);
    TarReader reader(source);
    std::map<std::string, Packed> found;
    for (TarEntry entry; reader.next(entry);) {
      bool is_file = entry.type == TarEntry::Type::kFile;
      found[entry.name] = {entry.type, entry.link, is_file ? reader.read_all(1 << 20, "it") : ""};
    }
    return found;
  }

  /// The error's code; kAlreadyDone for none.
  ErrorCode unpack(const std::string& path, const std::string& archive, Overwrite overwrite = Overwrite::kSameKind) {
    write(outer_ / "archive", archive);
    UniqueFd file = open_file(outer_ / "archive", O_RDONLY);
    try {
      work({.kind = Kind::kUnpack, .path = path, .overwrite = overwrite, .owner = {}}, file.get());
    } catch (const Error& error) {
      message_ = error.message();
      return error.code();
    }
    return ErrorCode::kAlreadyDone;
  }

  fs::path outer_, root_;
  std::string message_;
};

TEST_F(FileWorkTest, TellsOfFilesFoldersAndLinks) {
  fs::create_symlink("../etc/hosts", root_ / "etc/link");
  fs::create_symlink("/etc", root_ / "folder");
  fs::create_symlink("none/x", root_ / "etc/broken");
  EXPECT_EQ(stat("/etc/hosts").size, 9U);
  EXPECT_EQ(stat("/etc/hosts").name, "hosts");
  EXPECT_TRUE(S_ISDIR(stat("/etc").mode));
  EXPECT_TRUE(S_ISLNK(stat("/folder").mode));
  EXPECT_TRUE(S_ISDIR(stat("/folder/").mode));
  EXPECT_TRUE(S_ISDIR(stat("/folder/.").mode));
  EXPECT_EQ(stat("/etc/link").link_target, "/etc/hosts");
  EXPECT_EQ(stat("/etc/broken").link_target, "/etc/none/x");
}

TEST_F(FileWorkTest, LinksLeadNowhereElse) {
  fs::create_symlink(outer_ / "secret", root_ / "absolute");
  fs::create_symlink("../../../../../../.." + (outer_ / "secret").native(), root_ / "etc/upwards");
  fs::create_symlink("..", root_ / "up");
  for (const char* path : {"/absolute/.", "/etc/upwards/.", "/up/secret", "/etc/../../secret"}) {
    EXPECT_THROW(stat(path), Error) << path;
    EXPECT_THROW(pack(path), Error) << path;
  }
  EXPECT_EQ(pack("/absolute"), (std::map<std::string, std::string>{{"absolute", (outer_ / "secret").native()}}));
}

TEST_F(FileWorkTest, PacksATreeUnderTheNameAskedFor) {
  fs::create_directories(root_ / "etc/deep/er");
  write(root_ / "etc/deep/er/file", std::string(300'000, 'x'));
  fs::create_symlink("er/file", root_ / "etc/deep/link");
  fs::create_hard_link(root_ / "etc/hosts", root_ / "etc/other");
  auto found = pack("/etc");
  EXPECT_EQ(found.size(), 7U);
  EXPECT_EQ(found["etc/deep/er/file"].size(), 300'000U);
  EXPECT_EQ(found["etc/deep/link"], "er/file");
  EXPECT_EQ(found["etc/hosts"], "127.0.0.1");
  EXPECT_EQ(found["etc/other"], "etc/hosts");
  EXPECT_TRUE(pack("/etc/.").contains("./deep/er/file"));
  EXPECT_TRUE(pack("/").contains("/etc/hosts"));
  EXPECT_TRUE(pack("/etc/hosts").contains("hosts"));
}

TEST_F(FileWorkTest, PacksNoContentOfWhatIsNoFile) {
  ASSERT_EQ(::mkfifo((root_ / "etc/fifo").c_str(), 0600), 0);
  auto found = pack("/etc");  // would wait for a writer
  EXPECT_TRUE(found.contains("etc/fifo"));
  EXPECT_EQ(found["etc/fifo"], "");
}

TEST_F(FileWorkTest, WhatIsKeptOfATreeIsBounded) {
  fs::create_directories(root_ / "many");
  for (int i = 0; i < 200; ++i) {
    write(root_ / "many" / (std::string(100, 'n') + std::to_string(i)), "x");
  }
  EXPECT_EQ(pack_with(64UL << 10, "/many"), ErrorCode::kAlreadyDone) << message_;
  EXPECT_EQ(pack_with(20'000, "/many"), ErrorCode::kResourceExhausted);
  EXPECT_NE(message_.find("too many entries"), std::string::npos) << message_;
  // Also where it is the depth that takes the memory.
  fs::path deep = root_ / "deep";
  for (int i = 0; i < 100; ++i) {
    deep /= "d";
  }
  fs::create_directories(deep);
  EXPECT_EQ(pack_with(20'000, "/deep"), ErrorCode::kResourceExhausted);
}

TEST_F(FileWorkTest, LinksThatComeLateAreFilesOfTheirOwn) {
  fs::create_directories(root_ / "links/second");
  for (int i = 0; i < 60; ++i) {
    fs::path name = root_ / "links" / (std::string(100, 'n') + std::to_string(i));
    write(name, "x");
    fs::create_hard_link(name, root_ / "links/second" / std::to_string(i));
  }
  EXPECT_EQ(pack_with(24'000, "/links"), ErrorCode::kAlreadyDone) << message_;
  size_t links = 0;
  for (const auto& [name, entry] : entries()) {
    links += entry.type == TarEntry::Type::kHardLink ? 1 : 0;
  }
  EXPECT_GT(links, 20U);
  EXPECT_LT(links, 60U);
}

TEST_F(FileWorkTest, AFileThatShrinksIsFilledWithZeros) {
  constexpr size_t kSize = 4UL << 20;  // more than the packer and a pipe hold
  write(root_ / "etc/log", std::string(kSize, 'x'));
  int ends[2] = {-1, -1};
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  UniqueFd reading(ends[0]);
  UniqueFd writing(ends[1]);
  std::thread packer([&] {
    UniqueFd root = open_file(root_, O_PATH | O_DIRECTORY);
    EXPECT_NO_THROW(Packer(root.get(), writing.get()).pack("/etc"));
    writing.reset();
  });
  std::string bytes(1, '\0');
  EXPECT_EQ(::read(reading.get(), bytes.data(), 1), 1);
  EXPECT_EQ(::truncate((root_ / "etc/log").c_str(), 0), 0);
  write(root_ / "later", bytes + read_all(reading.get()));
  packer.join();
  TextSource source(read_file(root_ / "later"));
  TarReader reader(source);
  TarEntry entry;
  std::string content;
  while (reader.next(entry)) {
    content = reader.read_all(kSize, "it");
  }
  EXPECT_EQ(entry.name, "etc/log");
  ASSERT_EQ(content.size(), kSize);
  EXPECT_EQ(content.front(), 'x');
  EXPECT_EQ(content.back(), '\0');
}

TEST(IsKernelFileSystem, KnowsThoseThatMakeTheirFilesUp) {
  if (::geteuid() != 0) {
    GTEST_SKIP() << "only root may make a file system";
  }
  size_t made = 0;
  for (const char* kind : {"proc", "sysfs", "mqueue", "binfmt_misc", "configfs", "efivarfs", "pstore", "fusectl", "tracefs"}) {
    UniqueFd context(::fsopen(kind, FSOPEN_CLOEXEC));  // not every kernel has all
    if (!context || ::fsconfig(context.get(), FSCONFIG_CMD_CREATE, nullptr, nullptr, 0) != 0) {
      continue;
    }
    UniqueFd mounted(::fsmount(context.get(), FSMOUNT_CLOEXEC, 0));
    EXPECT_TRUE(is_kernel_file_system(mounted.get())) << kind;
    ++made;
  }
  EXPECT_GT(made, 0U);
  EXPECT_FALSE(is_kernel_file_system(open_file("/tmp", O_PATH).get()));
}

TEST_F(FileWorkTest, FoldersThatAreNestedTooDeeplyAreAnError) {
  UniqueFd folder = open_file(root_ / "etc", O_PATH | O_DIRECTORY);
  std::string name(200, 'n');
  for (int depth = 0; depth < 60; ++depth) {
    ASSERT_EQ(::mkdirat(folder.get(), name.c_str(), 0755), 0);
    folder.reset(::openat(folder.get(), name.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  }
  EXPECT_THROW(pack("/etc"), Error);
  remove_tree(open_file(root_, O_PATH | O_DIRECTORY).get(), "etc");  // longer than a path can be
}

TEST_F(FileWorkTest, UnpacksIntoAFolderThatALinkLeadsTo) {
  fs::create_symlink("etc", root_ / "link");
  EXPECT_EQ(unpack("/link", ArchiveBuilder().file("new", "text").finish()), ErrorCode::kAlreadyDone) << message_;
  EXPECT_EQ(read_file(root_ / "etc/new"), "text");
}

TEST_F(FileWorkTest, UnpacksNothingOutside) {
  fs::create_symlink(outer_, root_ / "out");
  fs::create_symlink("../..", root_ / "etc/up");
  fs::create_symlink(outer_ / "secret", root_ / "etc/secret");
  EXPECT_NE(unpack("/out", ArchiveBuilder().file("secret", "x").finish()), ErrorCode::kAlreadyDone);
  unpack("/", ArchiveBuilder().file("out/secret", "x").finish());
  unpack("/etc", ArchiveBuilder().file("up/secret", "x").finish());
  EXPECT_EQ(unpack("/etc", ArchiveBuilder().file("../../secret", "x").finish()), ErrorCode::kDataLoss);
  EXPECT_EQ(unpack("/etc", ArchiveBuilder().file("secret", "x").finish()), ErrorCode::kAlreadyDone) << message_;
  EXPECT_EQ(read_file(outer_ / "secret"), "secret");
  EXPECT_EQ(read_file(root_ / "etc/secret"), "x");  // the link itself was replaced
  EXPECT_EQ(read_file(root_ / "secret"), "x");      // ".." of the root is the root
}

TEST_F(FileWorkTest, KeepsTheKindWhereAsked) {
  fs::create_directories(root_ / "etc/folder/full");
  std::string file = ArchiveBuilder().file("folder", "x").finish();
  std::string folder = ArchiveBuilder().folder("hosts").finish();
  EXPECT_EQ(unpack("/etc", file), ErrorCode::kInvalidArgument);
  EXPECT_EQ(message_, "cannot overwrite directory \"/etc/folder\" with non-directory");
  EXPECT_EQ(unpack("/etc", folder), ErrorCode::kInvalidArgument);
  EXPECT_EQ(message_, "cannot overwrite non-directory \"/etc/hosts\" with directory");
  EXPECT_EQ(unpack("/etc", file, Overwrite::kAnything), ErrorCode::kAlreadyDone) << message_;
  EXPECT_EQ(read_file(root_ / "etc/folder"), "x");
}

TEST_F(FileWorkTest, NamesOfWhiteoutsAreNames) {
  EXPECT_EQ(unpack("/etc", ArchiveBuilder().file(".wh.hosts", "x").finish()), ErrorCode::kAlreadyDone) << message_;
  EXPECT_TRUE(fs::exists(root_ / "etc/.wh.hosts"));
  EXPECT_TRUE(fs::exists(root_ / "etc/hosts"));
}

TEST_F(FileWorkTest, RefusesWhatIsNoFolderOrNotThere) {
  std::string archive = ArchiveBuilder().file("x", "x").finish();
  EXPECT_EQ(unpack("/etc/hosts", archive), ErrorCode::kInvalidArgument);
  EXPECT_EQ(unpack("/none", archive), ErrorCode::kNotFound);
  EXPECT_EQ(unpack("/etc", archive.substr(0, 700)), ErrorCode::kDataLoss);
}

/// CVE-2018-15664: a process of the container swaps a folder for a link while the copy runs.
TEST_F(FileWorkTest, ASwappedFolderLeadsNowhereElse) {
  fs::create_directories(outer_ / "target");
  std::atomic<bool> stop = false;
  std::thread swapper([&] {
    std::error_code ignored;
    while (!stop) {
      fs::create_directory(root_ / "etc/a", ignored);
      fs::remove_all(root_ / "etc/a", ignored);
      fs::create_symlink(outer_ / "target", root_ / "etc/a", ignored);
      fs::remove(root_ / "etc/a", ignored);
    }
  });
  ArchiveBuilder builder;
  builder.folder("a", 0777);
  for (int i = 0; i < 50; ++i) {
    builder.file("a/file" + std::to_string(i), "x");
    builder.add({.name = "a/sticky" + std::to_string(i), .type = '5', .mode = 01777, .uid = 7});
  }
  struct stat before {};
  ASSERT_EQ(::stat((outer_ / "target").c_str(), &before), 0);
  for (int i = 0; i < 50; ++i) {
    unpack("/etc", builder.finish(), Overwrite::kAnything);  // may fail
    try {
      pack("/etc");
    } catch (const Error&) {
    }
  }
  stop = true;
  swapper.join();
  struct stat after {};
  ASSERT_EQ(::stat((outer_ / "target").c_str(), &after), 0);
  EXPECT_TRUE(fs::is_empty(outer_ / "target"));
  EXPECT_EQ(before.st_mode, after.st_mode);
  EXPECT_EQ(before.st_uid, after.st_uid);
}

TEST_F(FileWorkTest, AFileOfASetGroupFolderBelongsToWhomTheArchiveSays) {
  if (::geteuid() != 0) {
    GTEST_SKIP() << "only root may give files away";
  }
  ASSERT_EQ(::chown((root_ / "etc").c_str(), 0, 50), 0);
  ASSERT_EQ(::chmod((root_ / "etc").c_str(), 02755), 0);
  std::string archive = ArchiveBuilder().file("file", "x").folder("folder", 0755).symlink("link", "x").finish();
  EXPECT_EQ(unpack("/etc", archive), ErrorCode::kAlreadyDone) << message_;
  for (const char* name : {"etc/file", "etc/folder", "etc/link"}) {
    struct stat info {};
    ASSERT_EQ(::lstat((root_ / name).c_str(), &info), 0);
    EXPECT_EQ(info.st_gid, 0U) << name;
    EXPECT_EQ(info.st_mode & S_ISGID, 0U) << name;
  }
}

}  // namespace
}  // namespace bulkhead::archive
