// Mounts, and images that try to lead them elsewhere.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "container.h"
#include "linux/cgroup_layout.h"
#include "support/error.h"
#include "support/files.h"

namespace bulkhead::test {

using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

namespace {

std::string failure_of(Container& container) {
  try {
    container.create();
  } catch (const Error& error) {
    return error.message();
  }
  return {};
}

}  // namespace

TEST(Mounts, BindOfAFolderAndOfAFile) {
  Container container;
  make_folders(container.folder() / "volume");
  std::ofstream(container.folder() / "volume/file") << "content\n";
  container.spec.mounts.push_back({"/data/deep", "bind", container.folder() / "volume", {"rbind", "rprivate"}});
  container.spec.mounts.push_back({"/etc/one", "bind", container.folder() / "volume/file", {"bind", "ro"}});
  Result result = container.run_shell("cat /data/deep/file /etc/one; echo new >/data/deep/new; echo x >/etc/one");
  EXPECT_THAT(result.out, HasSubstr("content\ncontent\n"));
  EXPECT_THAT(result.out, HasSubstr("/etc/one: Read-only file system"));
  EXPECT_EQ(slurp(container.folder() / "volume/new"), "new\n");
  EXPECT_THAT(container.leftovers(), IsEmpty());
}

TEST(Mounts, OptionsAreInForce) {
  Container container;
  container.spec.mounts.push_back(
      {"/scratch", "tmpfs", "tmpfs", {"nosuid", "nodev", "noexec", "relatime", "size=64k", "mode=0700"}});
  Result result = container.run_shell(
      "grep ' /scratch ' /proc/self/mountinfo; stat -c %a /scratch; dd if=/dev/zero of=/scratch/x bs=1k count=100");
  EXPECT_THAT(result.out, HasSubstr("rw,nosuid,nodev,noexec,relatime - tmpfs tmpfs rw,size=64k,mode=700"));
  EXPECT_THAT(result.out, HasSubstr("700\n"));
  EXPECT_THAT(result.out, HasSubstr("No space left"));
}

TEST(Mounts, RecursiveReadOnlyCoversSubmounts) {
  Container container;
  container.spec.mounts.push_back({"/host-sys", "bind", "/sys", {"rbind", "rro"}});
  EXPECT_THAT(container.run_shell("grep ' /host-sys/fs/cgroup ' /proc/self/mountinfo").out, HasSubstr(" ro,"));
}

TEST(Mounts, CgroupsAreItsOwnAndReadOnly) {
  Container container;
  const std::string at = linux::cgroup_layout().is_unified() ? "/sys/fs/cgroup" : "/sys/fs/cgroup/pids";
  Result result = container.run_shell("cat /proc/self/cgroup; mkdir " + at + "/x; head -1 " + at + "/cgroup.procs");
  EXPECT_THAT(result.out, HasSubstr(linux::cgroup_layout().is_unified() ? "0::/\n" : "memory:/\n"));
  EXPECT_THAT(result.out, HasSubstr("Read-only file system"));
  EXPECT_THAT(result.out, HasSubstr("\n1\n"));
}

TEST(Mounts, AMissingSourceIsNamed) {
  Container container;
  container.spec.mounts.push_back({"/data", "bind", "/no/such/folder", {"rbind"}});
  EXPECT_EQ(failure_of(container), "open the source of mount '/no/such/folder' on '/data': No such file or directory");
  EXPECT_THAT(container.leftovers(), IsEmpty());
}

TEST(Mounts, AFilesystemThatDoesNotExistIsNamed) {
  Container container;
  container.spec.mounts.push_back({"/data", "nosuchfs", "none", {}});
  EXPECT_EQ(failure_of(container), "make the file system of mount 'nosuchfs' on '/data': No such device");
  EXPECT_THAT(container.leftovers(), IsEmpty());
}

TEST(Mounts, AnOverlayIsMountedInsideOnly) {
  Container container;
  make_folders(container.folder() / "upper");
  make_folders(container.folder() / "work");
  make_folders(container.folder() / "lower");
  std::filesystem::rename(container.root(), container.folder() / "lower");
  make_folders(container.root());
  const std::string at = container.folder();
  container.rootfs_mounts = {
      {"overlay", "overlay", "", {"lowerdir=" + at + "/lower", "upperdir=" + at + "/upper", "workdir=" + at + "/work"}}};
  container.shell("echo made >/made; sleep 1000");
  container.create().start();
  while (slurp(container.folder() / "upper/made").empty()) {
    ::usleep(1000);
  }
  EXPECT_THAT(slurp("/proc/self/mountinfo"), Not(HasSubstr(at)));
  container.destroy();
  EXPECT_EQ(slurp(container.folder() / "upper/made"), "made\n");
  EXPECT_THAT(container.leftovers(), IsEmpty());
}

// Whoever says that the sources are exact has looked where they lead: a link that was put there since must not be followed.
TEST(Mounts, NoLinkIsFollowedToAnExactSource) {
  for (const char* path : {"link", "link/below"}) {
    Container container;
    make_folders(container.folder() / "real/below");
    std::filesystem::create_symlink("real", container.folder() / "link");
    container.spec.mounts.push_back({"/data", "bind", container.folder() / path, {"rbind"}});
    container.spec.annotations[oci::kExactSources] = "true";
    EXPECT_THAT(failure_of(container), AllOf(HasSubstr("open the source of mount"), HasSubstr("symbolic links"))) << path;
    EXPECT_THAT(container.leftovers(), IsEmpty());
    container.spec.annotations.clear();
    EXPECT_EQ(container.run_shell("test -d /data").code, 0);
  }
}

// CVE-2019-19921, CVE-2021-30465 and kin: the image's own links as targets.
TEST(Mounts, ALinkOfTheImageStaysInsideTheRoot) {
  Container container;
  const std::filesystem::path outside = container.folder() / "outside";
  make_folders(outside);
  std::filesystem::remove(container.root() / "dev");
  std::filesystem::create_symlink("../outside", container.root() / "dev");
  std::filesystem::create_symlink("/../../../../../../" + outside.native(), container.root() / "data");
  make_folders(container.root() / "outside");
  make_folders(container.root() / outside.relative_path());
  container.spec.mounts.push_back({"/data", "tmpfs", "tmpfs", {}});
  Result result = container.run_shell("touch /data/file; ls /outside/null");
  EXPECT_EQ(result.code, 0) << result.out;
  EXPECT_TRUE(std::filesystem::is_empty(outside));
  EXPECT_THAT(container.leftovers(), IsEmpty());
}

TEST(Mounts, ADanglingLinkAsTargetIsRefused) {
  Container container;
  std::filesystem::create_symlink("/nowhere", container.root() / "data");
  container.spec.mounts.push_back({"/data", "tmpfs", "tmpfs", {}});
  EXPECT_THAT(failure_of(container), HasSubstr("open the target of mount 'tmpfs' on '/data' inside the root filesystem"));
  EXPECT_THAT(container.leftovers(), IsEmpty());
}

TEST(Mounts, ProcBehindALinkIsRefused) {
  Container container;
  std::filesystem::remove(container.root() / "proc");
  make_folders(container.root() / "elsewhere");
  std::filesystem::create_symlink("elsewhere", container.root() / "proc");
  EXPECT_THAT(failure_of(container), HasSubstr("target of mount 'proc' on '/proc'"));
  EXPECT_THAT(container.leftovers(), IsEmpty());
}

// CVE-2025-31133: /dev/null of the image as a link to what it wants to have mounted over a masked path.
TEST(Mounts, MasksAreMadeOfTheRealNullDevice) {
  Container container;
  container.spec.mounts.erase(container.spec.mounts.begin() + 1, container.spec.mounts.begin() + 3);  // no /dev, no /dev/pts
  std::erase_if(container.spec.mounts, [](const oci::Mount& mount) { return mount.destination.starts_with("/dev"); });
  std::filesystem::create_symlink("/etc/decoy", container.root() / "dev/null");
  std::ofstream(container.root() / "etc/decoy") << "decoy";
  EXPECT_EQ(container.run_shell("cat /proc/keys").out, "");
}

// CVE-2024-21626: a working directory that is an inherited descriptor of the host.
TEST(Mounts, AWorkingDirectoryOutsideIsRefused) {
  UniqueFd host = open_file("/etc", O_RDONLY | O_DIRECTORY);
  for (int fd = 3; fd < 12; ++fd) {
    Container container;
    container.spec.process.cwd = "/proc/self/fd/" + std::to_string(fd);
    std::string failure = failure_of(container);
    EXPECT_THAT(failure, Not(IsEmpty())) << fd;
    EXPECT_THAT(container.leftovers(), IsEmpty());
  }
}

TEST(Mounts, AMissingWorkingDirectoryIsMade) {
  for (bool readonly : {false, true}) {
    Container container;
    container.spec.root.readonly = readonly;
    container.spec.process.cwd = "/new/folder";
    EXPECT_EQ(container.run_shell("pwd").out, "/new/folder\n");
  }
}

TEST(Mounts, AFileIsNoWorkingDirectory) {
  Container container;
  container.spec.process.cwd = "/bin/busybox";
  try {
    container.create();
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kCannotExecute);
    EXPECT_EQ(error.message(), "chdir to cwd (\"/bin/busybox\") set in config.json failed: not a directory");
  }
}

TEST(Mounts, PathsThatAreAskedForAreMadeInsideTheRoot) {
  Container container;
  container.spec.root.readonly = true;
  const std::filesystem::path outside = container.folder() / "outside";
  make_folders(outside);
  std::filesystem::create_symlink("../outside", container.root() / "link");
  make_folders(container.root() / "outside");
  std::ofstream(container.root() / "etc/kept") << "kept\n";
  container.spec.annotations[oci::kMadePaths] = "/.dockerenv\n/a/b/\n/link/c/\n/etc/kept\n";
  Result result = container.run_shell("stat -c '%n %F' /.dockerenv /a/b /outside/c; cat /etc/kept");
  EXPECT_EQ(result.out, "/.dockerenv regular empty file\n/a/b directory\n/outside/c directory\nkept\n");
  EXPECT_TRUE(std::filesystem::is_empty(outside));
}

TEST(Mounts, AMountOnADefaultDeviceIsThereInItsPlace) {
  Container container;
  std::ofstream(container.folder() / "file") << "mine\n";
  container.spec.mounts.push_back({"/dev/random", "bind", "/dev/urandom", {"bind"}});
  container.spec.mounts.push_back({"/dev/null", "bind", container.folder() / "file", {"bind", "ro"}});
  Result result = container.run_shell("cat /dev/null; stat -c %t:%T /dev/random; head -c 4 /dev/random | grep -c ''");
  EXPECT_THAT(result.out, HasSubstr("mine\n1:9\n"));
  // SECURITY: a mask is made of the host's null device, never of what is at that name in the container.
  EXPECT_EQ(container.run_shell("cat /proc/keys").out, "");
}

TEST(Mounts, OnlyAProcfsIsMountedOnProc) {
  Container container;
  make_folders(container.folder() / "fake");
  container.spec.mounts.push_back({"/proc", "bind", container.folder() / "fake", {"rbind"}});
  EXPECT_THAT(failure_of(container), HasSubstr("\"/proc\" cannot be mounted because it is not of type proc"));
  container.spec.mounts.back() = {"/proc", "bind", "/proc/self", {"rbind"}};
  EXPECT_THAT(failure_of(container), HasSubstr("\"/proc\" cannot be mounted because it is not of type proc"));
  container.spec.mounts.back() = {"/proc/sys", "bind", container.folder() / "fake", {"rbind"}};
  EXPECT_THAT(failure_of(container), HasSubstr("\"/proc/sys\" cannot be mounted because it is inside /proc"));
  EXPECT_THAT(container.leftovers(), IsEmpty());
  container.spec.mounts.back() = {"/proc", "bind", "/proc", {"rbind"}};
  EXPECT_EQ(container.run_shell("cat /proc/keys; grep -c ' /proc/sys ro,' /proc/self/mountinfo").out, "1\n");
}

// CVE-2019-19921: the image's link as a target that leads into /proc.
TEST(Mounts, ALinkOfTheImageLeadsNoMountIntoProc) {
  for (const char* link : {"/proc", "/proc/sys", "/proc/1"}) {
    for (const char* type : {"bind", "tmpfs"}) {
      Container container;
      make_folders(container.folder() / "volume");
      std::filesystem::create_symlink(link, container.root() / "data");
      container.spec.mounts.push_back({"/data", type, container.folder() / "volume", {}});
      EXPECT_THAT(failure_of(container), HasSubstr("\"/data\" cannot be mounted because it is inside /proc")) << link;
      EXPECT_THAT(container.leftovers(), IsEmpty());
    }
  }
}

}  // namespace bulkhead::test
