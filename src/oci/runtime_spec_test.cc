#include "oci/runtime_spec.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/error.h"

namespace bulkhead::oci {

using testing::HasSubstr;

namespace {

std::string with(const std::string& more) {
  return R"({"ociVersion":"1.0.2","root":{"path":"rootfs"},"process":{"args":["sh"],"cwd":"/","user":{"uid":1,"gid":2}})" +
         more + "}";
}

Error failure_of(const std::string& text) {
  try {
    parse_spec(text);
  } catch (const Error& error) {
    return error;
  }
  return {ErrorCode::kInternal, "no error"};
}

}  // namespace

TEST(RuntimeSpec, WhatIsWrittenIsReadAgain) {
  Spec spec =
      parse_spec(with(R"(,"hostname":"h","mounts":[{"destination":"/proc","type":"proc","source":"proc","options":["nosuid"]}],
    "linux":{"namespaces":[{"type":"pid"},{"type":"network","path":"/run/x"}],"maskedPaths":["/proc/kcore"],"cgroupsPath":"/a/b",
    "devices":[{"path":"/dev/x","type":"c","major":1,"minor":2,"fileMode":438}],
    "resources":{"memory":{"limit":1048576,"swap":-1},"pids":{"limit":7},"cpu":{"shares":5,"cpus":"0-1"},
    "devices":[{"allow":false,"access":"rwm"},{"allow":true,"type":"c","major":-1,"minor":3,"access":"r"}]},
    "seccomp":{"defaultAction":"SCMP_ACT_ERRNO","defaultErrnoRet":1,"syscalls":[{"names":["clone"],"action":"SCMP_ACT_ALLOW",
    "args":[{"index":0,"value":18446744073709551615,"op":"SCMP_CMP_EQ"}]}]}})"));
  EXPECT_EQ(spec.process.user.uid, 1U);
  EXPECT_EQ(*spec.linux_.resources.memory_swap, -1);
  EXPECT_FALSE(spec.linux_.resources.devices[1].major);
  EXPECT_EQ(spec.linux_.seccomp->syscalls[0].args[0].value, ~0ULL);
  EXPECT_EQ(to_json(parse_spec(to_json(spec))), to_json(spec));
}

TEST(RuntimeSpec, WrongTypesNameTheProperty) {
  EXPECT_EQ(failure_of("nonsense").code(), ErrorCode::kInvalidArgument);
  EXPECT_THAT(failure_of("[]").message(), HasSubstr("document"));
  EXPECT_THAT(failure_of(with(R"(,"mounts":{})")).message(), HasSubstr("'mounts' is not an array"));
  EXPECT_THAT(failure_of(with(R"(,"mounts":[{}])")).message(), HasSubstr("'mounts[0].destination' is missing"));
  EXPECT_THAT(failure_of(with(R"(,"hostname":5)")).message(), HasSubstr("'hostname' is not a string"));
  EXPECT_THAT(failure_of(with(R"(,"hostname":"a\u0000b")")).message(), HasSubstr("NUL"));
  EXPECT_THAT(failure_of(with(R"(,"linux":{"resources":{"cpu":{"shares":-1}}})")).message(),
              HasSubstr("'linux.resources.cpu.shares'"));
}

TEST(RuntimeSpec, WhatWouldBeDroppedIsRefused) {
  for (const char* more : {R"(,"hooks":{"prestart":[{"path":"/x"}]})", R"(,"linux":{"intelRdt":{"closID":"x"}})",
                           R"(,"linux":{"seccomp":{"defaultAction":"SCMP_ACT_ALLOW","listenerPath":"/x"}})",
                           R"(,"linux":{"resources":{"hugepageLimits":[{"pageSize":"2MB","limit":1}]}})",
                           R"(,"windows":{"layerFolders":["x"]})"}) {
    EXPECT_EQ(failure_of(with(more)).code(), ErrorCode::kNotSupported) << more;
  }
  EXPECT_NO_THROW(parse_spec(with(R"(,"hooks":{},"linux":{"resources":{"hugepageLimits":[]}})")));
}

}  // namespace bulkhead::oci
