#include "cli/create_options.h"

#include <gmock/gmock.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "support/error.h"
#include "support/files.h"

namespace bulkhead::cli {
namespace {

using nlohmann::json;
using ::testing::HasSubstr;

json body_of(std::vector<std::string> words, Attached attached = Attached::kYes) {
  CreateOptions create;
  Options options("run", "", "", Order::kBeforeArguments);
  add_create_options(options, create);
  EXPECT_EQ(options.parse(std::move(words)), Parsed::kRun);
  return create_body(create, options.arguments(), attached);
}

std::string failure(std::vector<std::string> words) {
  try {
    body_of(std::move(words));
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument) << error.message();
    return error.message();
  }
  return "no error";
}

class TemporaryFile {
 public:
  explicit TemporaryFile(std::string_view content) {
    UniqueFd fd(mkstemp(path_.data()));
    write_all(fd.get(), content);
  }
  ~TemporaryFile() { std::filesystem::remove(path_); }
  TemporaryFile(const TemporaryFile&) = delete;
  TemporaryFile& operator=(const TemporaryFile&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_ = "/tmp/bulkhead-test-XXXXXX";
};

TEST(CreateBody, KeepsTheCommandAndTheStreams) {
  json body = body_of({"-i", "image", "sh", "-c", "echo -i"});
  EXPECT_EQ(body["Image"], "image");
  EXPECT_EQ(body["Cmd"], json({"sh", "-c", "echo -i"}));
  EXPECT_EQ(body["OpenStdin"], true);
  EXPECT_EQ(body["StdinOnce"], true);
  EXPECT_EQ(body["AttachStderr"], true);
  EXPECT_FALSE(body_of({"image"}).contains("Cmd"));
  EXPECT_FALSE(body_of({"image"}).contains("Entrypoint"));
}

TEST(CreateBody, DetachedKeepsInputOpenForALaterAttach) {
  json body = body_of({"-i", "image"}, Attached::kNo);
  EXPECT_EQ(body["OpenStdin"], true);
  EXPECT_EQ(body["StdinOnce"], false);
  EXPECT_EQ(body["AttachStdout"], false);
}

TEST(CreateBody, AnEmptyEntrypointClearsTheImages) {
  EXPECT_EQ(body_of({"--entrypoint=", "image"})["Entrypoint"], json::array({""}));
}

TEST(CreateBody, ReadsEnvironmentInDockersOrder) {
  setenv("BULKHEAD_TEST_SET", "from here", 1);
  unsetenv("BULKHEAD_TEST_UNSET");
  TemporaryFile file("\xEF\xBB\xBF# comment\n\n  A=1 \r\nBULKHEAD_TEST_SET\nBULKHEAD_TEST_UNSET\nEMPTY=\n");
  json body = body_of({"-e", "A=2", "-e", "BULKHEAD_TEST_UNSET", "--env-file", file.path(), "image"});
  EXPECT_EQ(body["Env"], json({"A=1 ", "BULKHEAD_TEST_SET=from here", "EMPTY=", "A=2"}));
  EXPECT_THAT(failure({"-e", "=x", "image"}), HasSubstr("=x"));
  TemporaryFile bad("A B=1\n");
  EXPECT_THAT(failure({"--env-file", bad.path(), "image"}), HasSubstr("A B"));
}

TEST(CreateBody, ReadsMounts) {
  json host = body_of({"--mount", "type=bind,src=/a,dst=/b,readonly,bind-propagation=rslave", "--mount",
                       "type=tmpfs,target=/t,tmpfs-size=1m,tmpfs-mode=1770", "--mount", "type=bind,\"src=/with,comma\",dst=/c",
                       "--tmpfs", "/x:size=1m", "--tmpfs", "/y", "-v", "/h:/c:ro", "image"})["HostConfig"];
  EXPECT_EQ(host["Mounts"][0], json({{"Type", "bind"},
                                     {"Source", "/a"},
                                     {"Target", "/b"},
                                     {"ReadOnly", true},
                                     {"BindOptions", {{"Propagation", "rslave"}}}}));
  EXPECT_EQ(host["Mounts"][1]["TmpfsOptions"], json({{"SizeBytes", 1 << 20}, {"Mode", 01770}}));
  EXPECT_EQ(host["Mounts"][2]["Source"], "/with,comma");
  EXPECT_EQ(host["Tmpfs"], json({{"/x", "size=1m"}, {"/y", ""}}));
  EXPECT_EQ(host["Binds"], json({"/h:/c:ro"}));
}

TEST(CreateBody, MakesRelativeSourcesAbsolute) {
  json host = body_of({"-v", "./a/../b:/c", "image"})["HostConfig"];
  EXPECT_EQ(host["Binds"][0], (std::filesystem::current_path() / "b").string() + ":/c");
}

TEST(CreateBody, RefusesBadMounts) {
  EXPECT_THAT(failure({"--mount", "type=bind,src=/a", "image"}), HasSubstr("target"));
  EXPECT_THAT(failure({"--mount", "type=bind,dst=/a,bogus=1", "image"}), HasSubstr("bogus"));
  EXPECT_THAT(failure({"--mount", "type=bind,dst=/a,tmpfs-size=1", "image"}), HasSubstr("tmpfs"));
  EXPECT_THAT(failure({"--mount", "type=tmpfs,dst=/a,tmpfs-mode=99", "image"}), HasSubstr("99"));
  EXPECT_THAT(failure({"--mount", "type=bind,\"src=/a", "image"}), HasSubstr("quote"));
}

TEST(CreateBody, ReadsResources) {
  json host = body_of({"-m", "64m", "--memory-swap", "-1", "--cpus", "1.5", "--pids-limit", "100", "--shm-size", "1g",
                       "--ulimit", "nofile=10:20", "--ulimit", "core=0", "image"})["HostConfig"];
  EXPECT_EQ(host["Memory"], 64 << 20);
  EXPECT_EQ(host["MemorySwap"], -1);
  EXPECT_EQ(host["NanoCpus"], 1'500'000'000);
  EXPECT_EQ(host["PidsLimit"], 100);
  EXPECT_EQ(host["ShmSize"], 1 << 30);
  EXPECT_EQ(host["Ulimits"][0], json({{"Name", "nofile"}, {"Soft", 10}, {"Hard", 20}}));
  EXPECT_EQ(host["Ulimits"][1]["Hard"], 0);
  EXPECT_THAT(failure({"--ulimit", "nofile=20:10", "image"}), HasSubstr("nofile=20:10"));
  EXPECT_THAT(failure({"--ulimit", "nofile=x", "image"}), HasSubstr("nofile=x"));
  EXPECT_THAT(failure({"-m", "lots", "image"}), HasSubstr("lots"));
}

TEST(CreateBody, SendsTheProfileItself) {
  TemporaryFile profile("{\n \"defaultAction\": \"SCMP_ACT_ALLOW\"\n}\n");
  json host =
      body_of({"--security-opt", "seccomp=" + profile.path(), "--security-opt", "no-new-privileges", "image"})["HostConfig"];
  EXPECT_EQ(host["SecurityOpt"], json({R"(seccomp={"defaultAction":"SCMP_ACT_ALLOW"})", "no-new-privileges"}));
  EXPECT_EQ(body_of({"--security-opt", "seccomp=unconfined", "image"})["HostConfig"]["SecurityOpt"][0], "seccomp=unconfined");
  TemporaryFile bad("not json");
  EXPECT_THAT(failure({"--security-opt", "seccomp=" + bad.path(), "image"}), HasSubstr("no JSON"));
}

TEST(CreateBody, ReadsNamesAndAddresses) {
  json host = body_of({"--add-host", "a:1.2.3.4", "--add-host", "b=[::1]", "--dns", "1.1.1.1", "--restart", "on-failure:3",
                       "--device", "/dev/null:/dev/x:r", "--device", "/dev/zero", "image"})["HostConfig"];
  EXPECT_EQ(host["ExtraHosts"], json({"a:1.2.3.4", "b:::1"}));
  EXPECT_EQ(host["RestartPolicy"], json({{"Name", "on-failure"}, {"MaximumRetryCount", 3}}));
  EXPECT_EQ(host["Devices"][0], json({{"PathOnHost", "/dev/null"}, {"PathInContainer", "/dev/x"}, {"CgroupPermissions", "r"}}));
  EXPECT_EQ(host["Devices"][1]["CgroupPermissions"], "rwm");
  EXPECT_THAT(failure({"--dns", "not an address", "image"}), HasSubstr("--dns"));
  EXPECT_THAT(failure({"--add-host", "alone", "image"}), HasSubstr("alone"));
  EXPECT_THAT(failure({"--device", "/a:/b:xyz", "image"}), HasSubstr("/a:/b:xyz"));
  EXPECT_THAT(failure({"--restart", "on-failure:x", "image"}), HasSubstr("on-failure:x"));
  EXPECT_THAT(failure({"--rm", "--restart", "always", "image"}), HasSubstr("--rm"));
}

}  // namespace
}  // namespace bulkhead::cli
