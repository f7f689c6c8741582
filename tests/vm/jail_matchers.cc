#include "jail_matchers.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <sstream>

#include "support/files.h"
#include "vm_fixture.h"

namespace bulkhead::sandbox {

using testing::HasSubstr;

void expect_jailed(pid_t qemu, const std::string& root) {
  std::string proc = fmt::format("/proc/{}", qemu);
  std::string status = read_file(proc + "/status");
  EXPECT_THAT(status, testing::Not(HasSubstr("Uid:\t0")));
  for (const char* set : {"CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"}) {
    EXPECT_THAT(status, HasSubstr(fmt::format("{}:\t0000000000000000\n", set)));
  }
  EXPECT_THAT(status, HasSubstr("NoNewPrivs:\t1\n"));
  EXPECT_THAT(status, HasSubstr("Seccomp:\t2\nSeccomp_filters:\t2\n"));  // ours, and QEMU's own
  EXPECT_THAT(status, HasSubstr("Groups:\t \n"));
  for (const char* kind : {"mnt", "pid", "ipc", "net", "uts", "cgroup"}) {
    EXPECT_NE(std::filesystem::read_symlink(proc + "/ns/" + kind),
              std::filesystem::read_symlink(fmt::format("/proc/self/ns/{}", kind)))
        << kind;
  }
  EXPECT_EQ(output_of("ls " + proc + "/root/"), root);
  EXPECT_NE(::access((proc + "/root/etc").c_str(), F_OK), 0);
  std::string mounts = read_file(proc + "/mounts");
  std::istringstream lines(mounts);
  for (std::string line; std::getline(lines, line);) {
    EXPECT_THAT(line, HasSubstr(" ro,")) << "writable in the jail";
  }
  EXPECT_EQ(output_of("tail -n +3 " + proc + "/net/dev | grep -v ' lo:'"), "");
}

}  // namespace bulkhead::sandbox
