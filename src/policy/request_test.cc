#include "policy/request.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "support/error.h"

namespace bulkhead::policy {
namespace {

using nlohmann::json;

Request of_host(const json& host) { return read_request({{"Image", "x"}, {"HostConfig", host}}); }
using Texts = std::set<std::string>;

TEST(Request, ReadsACreateBody) {
  Request request = read_request(
      {{"Image", "127.0.0.1:5000/app:1"},
       {"Labels", {{"a", "b"}}},
       {"Cmd", {"sh"}},
       {"HostConfig",
        {{"Isolation", "HyperV"}, {"NetworkMode", "default"}, {"Annotations", {{"c", "d"}}}, {"ReadonlyRootfs", true}}}});
  EXPECT_EQ(request.references.at(0).text(), "127.0.0.1:5000/app:1");
  EXPECT_EQ(request.asked_mode, Mode::kHyperv);
  EXPECT_EQ(request.labels.at("a"), "b");
  EXPECT_EQ(request.annotations.at("c"), "d");
  EXPECT_TRUE(request.read_only_root);
  EXPECT_TRUE(request.host_namespaces.empty() && request.added_capabilities.empty() && request.host_mounts.empty());
}

TEST(Request, NullIsAbsent) {
  Request request =
      read_request({{"Image", "x"}, {"Labels", nullptr}, {"HostConfig", {{"Binds", nullptr}, {"CapAdd", nullptr}}}});
  EXPECT_EQ(request, read_request({{"Image", "x"}}));
  EXPECT_EQ(read_request({{"Image", "x"}, {"HostConfig", nullptr}}), request);
}

TEST(Request, WrongTypesNameTheProperty) {
  for (const json& body :
       std::initializer_list<json>{{{"HostConfig", {{"Privileged", "yes"}}}},
                                   {{"HostConfig", {{"Binds", "a:b"}}}},
                                   {{"HostConfig", {{"Binds", {1}}}}},
                                   {{"HostConfig", {{"Mounts", {"x"}}}}},
                                   {{"HostConfig", {{"Isolation", "thick"}}}},
                                   {{"HostConfig", {{"PortBindings", {{"80/tcp", "x"}}}}}},
                                   {{"HostConfig", {{"PortBindings", {{"80/tcp", {{{"HostPort", "9-1"}}}}}}}}},
                                   {{"Labels", {"x"}}},
                                   {{"HostConfig", {{"privileged", true}}}},
                                   {{"hostconfig", {{"Privileged", true}}}},
                                   {{"HostConfig", 3}}}) {
    EXPECT_THROW(read_request(body), Error) << body.dump();
  }
  EXPECT_THROW(read_request(json::array()), Error);
}

TEST(Request, PrivilegedAsksForEverythingThatItBrings) {
  Request request = of_host({{"Privileged", true}});
  EXPECT_EQ(request.added_capabilities, Texts{"ALL"});
  EXPECT_EQ(request.devices, Texts{"/dev"});
  EXPECT_TRUE(request.lifted.contains("seccomp"));
}

TEST(Request, EverySpellingOfACapabilityIsOne) {
  EXPECT_EQ(of_host({{"CapAdd", {"cap_net_admin", "NET_ADMIN", "Cap_Net_Admin"}}}).added_capabilities, Texts{"NET_ADMIN"});
}

TEST(Request, MountsAreFoundHoweverTheyAreWritten) {
  Request request =
      of_host({{"Binds", {"/a/../etc//x/:/y:ro", "named:/z", "/:/host"}},
               {"Mounts",
                {{{"Type", "bind"}, {"Source", "/m/./n"}, {"Target", "/t"}},
                 {{"Type", "tmpfs"}, {"Target", "/u"}},
                 {{"Type", "volume"},
                  {"Target", "/v"},
                  {"VolumeOptions", {{"DriverConfig", {{"Options", {{"o", "bind"}, {"device", "/secret"}}}}}}}}}}});
  EXPECT_EQ(request.host_mounts, (Texts{"/", "/etc/x", "/m/n", "/secret"}));
}

TEST(Request, DevicesRulesAndNamespacesAreFound) {
  Request request = of_host({{"Devices", {{{"PathOnHost", "/dev/../dev/kvm"}}}},
                             {"DeviceCgroupRules", {"a *:* rwm"}},
                             {"NetworkMode", "container:abc"},
                             {"PidMode", "host"},
                             {"IpcMode", "private"}});
  EXPECT_EQ(request.devices, (Texts{"/dev", "/dev/kvm", "cgroup rule a *:* rwm"}));
  EXPECT_EQ(request.host_namespaces, (Texts{"network", "pid"}));
}

TEST(Request, ADeviceOutsideOfDevCountsAsEveryDevice) {
  for (const char* path : {"/srv/kvm", "/dev/../srv/kvm", "/dev/shm/kvm", "dev/kvm", ""}) {
    EXPECT_TRUE(of_host({{"Devices", {{{"PathOnHost", path}}}}}).devices.contains("/dev")) << path;
  }
  EXPECT_EQ(of_host({{"Devices", {{{"PathOnHost", "/dev/net/../kvm"}}}}}).devices, Texts{"/dev/kvm"});
}

TEST(Request, PortsAreRanges) {
  Request request = of_host({{"PortBindings",
                              {{"80/tcp", {{{"HostPort", "8080"}}, {{"HostPort", "9000-9010"}}}},
                               {"81/tcp", {{{"HostPort", ""}}}},
                               {"82/tcp", nullptr}}}});
  EXPECT_EQ(request.published_ports, (std::vector<PortRange>{{8080, 8080}, {9000, 9010}, {0, 0}, {0, 0}}));
  EXPECT_EQ(of_host({{"PublishAllPorts", true}}).published_ports.size(), 1U);
}

TEST(Request, TheLastSecurityOptionCounts) {
  EXPECT_EQ(of_host({{"SecurityOpt", {"seccomp=unconfined"}}}).lifted, Texts{"seccomp"});
  EXPECT_TRUE(of_host({{"SecurityOpt", {"seccomp=unconfined", "seccomp=builtin"}}}).lifted.empty());
  EXPECT_EQ(of_host({{"SecurityOpt", {"seccomp={}"}}}).seccomp, SeccompAsked::kCustom);
  EXPECT_EQ(of_host({{"SecurityOpt", {"seccomp={}"}}}).lifted, Texts{"seccomp"}) << "it may allow everything";
  EXPECT_EQ(of_host({{"SecurityOpt", {"no-new-privileges"}}}).no_new_privileges, true);
  EXPECT_EQ(of_host({{"SecurityOpt", {"no-new-privileges:false"}}}).no_new_privileges, false);
  EXPECT_EQ(of_host({{"MaskedPaths", json::array()}}).lifted, Texts{"system-paths"});
}

TEST(Request, AnIdIsADigest) {
  std::string id(64, 'a');
  EXPECT_TRUE(read_request({{"Image", id}}).digest_pinned);
  EXPECT_TRUE(read_request({{"Image", "sha256:" + id}}).digest_pinned);
  EXPECT_TRUE(read_request({{"Image", "x@sha256:" + id}}).digest_pinned);
  EXPECT_FALSE(read_request({{"Image", "aaaaaaaaaaaa"}}).digest_pinned);
}

TEST(Request, IsKeptAndReadBackTheSame) {
  Request request = of_host({{"Privileged", true},
                             {"Isolation", "process"},
                             {"Binds", {"/a:/b"}},
                             {"SecurityOpt", {"no-new-privileges=false", "seccomp={}"}},
                             {"PortBindings", {{"80/tcp", {{{"HostPort", "8080"}}}}}}});
  request.caller.uid = 1000;
  EXPECT_EQ(request_of_json(to_json(request)), request);
  EXPECT_EQ(request_of_json(to_json(Request{})), Request{});
}

}  // namespace
}  // namespace bulkhead::policy
