#include "settings/daemon_settings.h"

#include <gtest/gtest.h>

#include "support/error.h"

namespace bulkhead::settings {
namespace {

std::string error_of(std::string_view text) {
  try {
    parse_daemon_settings(text, "/etc/x.json");
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kInvalidArgument);
    return error.message();
  }
  return "";
}

TEST(DaemonSettingsTest, ReadsDockersWords) {
  DaemonSettings settings = parse_daemon_settings(
      R"({"exec-opts": ["isolation=HyperV"], "insecure-registries": ["a:1", "10.0.0.0/8"], "debug": true})", "/etc/x.json");
  EXPECT_EQ(settings.isolation, "hyperv");
  EXPECT_EQ(settings.isolation_source, "'/etc/x.json'");
  EXPECT_EQ(settings.insecure_registries.size(), 2U);
  EXPECT_TRUE(settings.debug);
}

TEST(DaemonSettingsTest, NothingSetIsNothing) {
  for (const char* text : {"{}", R"({"exec-opts": []})", R"({"exec-opts": ["isolation=default"]})"}) {
    DaemonSettings settings = parse_daemon_settings(text, "/x");
    EXPECT_EQ(settings.isolation + settings.isolation_source, "") << text;
  }
  EXPECT_EQ(read_daemon_settings("/nonexistent/daemon.json", Missing::kFine).isolation, "");
  EXPECT_THROW(read_daemon_settings("/nonexistent/daemon.json", Missing::kError), Error);
}

TEST(DaemonSettingsTest, WhatIsNotThereIsRefusedByName) {
  EXPECT_NE(error_of(R"({"storage-driver": "zfs"})").find("storage-driver"), std::string::npos);
  EXPECT_NE(error_of(R"({"exec-opts": ["native.cgroupdriver=systemd"]})").find("native.cgroupdriver=systemd"),
            std::string::npos);
  EXPECT_NE(error_of(R"({"exec-opts": ["isolation=thick"]})").find("isolation=thick"), std::string::npos);
  EXPECT_NE(error_of(R"({"exec-opts": ["isolation=process", "isolation=hyperv"]})").find("contradict"), std::string::npos);
  for (const char* bad : {"", "[]", "3", "{", R"({"exec-opts": "isolation=process"})", R"({"exec-opts": [1]})",
                          R"({"debug": "yes"})", R"({"insecure-registries": {}})", R"({"exec-opts": ["isolation"]})"}) {
    EXPECT_NE(error_of(bad).find("/etc/x.json"), std::string::npos) << bad;
  }
}

TEST(DaemonSettingsTest, ReadsHowTcpIsServed) {
  TlsSettings tls =
      parse_daemon_settings(R"({"tlsverify": true, "tlscacert": "/ca", "tlscert": "/cert", "tlskey": "/key"})", "/etc/x.json")
          .tls;
  EXPECT_TRUE(verifies_clients(tls));
  EXPECT_EQ(tls.ca + tls.certificate + tls.key, "/ca/cert/key");
  EXPECT_THROW(add_tls_options(tls, {.ca = "/other"}), Error);
  EXPECT_THROW(add_tls_options(tls, {.verify = true}), Error);
  EXPECT_NE(error_of(R"({"tlsverify": "yes"})").find("tlsverify"), std::string::npos);
  EXPECT_NE(error_of(R"({"tlskey": true})").find("tlskey"), std::string::npos);
}

TEST(DaemonSettingsTest, TlsWithoutVerifyingIsRefused) {
  EXPECT_FALSE(verifies_clients({}));
  EXPECT_FALSE(verifies_clients({.tls = false}));
  for (const TlsSettings& settings :
       std::vector<TlsSettings>{{.tls = true},
                                {.ca = "/ca"},
                                {.verify = false, .key = "/key"},
                                {.tls = false, .verify = true, .ca = "a", .certificate = "b", .key = "c"},
                                {.verify = true, .certificate = "b", .key = "c"},
                                {.verify = true, .ca = "a", .key = "c"},
                                {.verify = true, .ca = "a", .certificate = "b"}}) {
    EXPECT_THROW(verifies_clients(settings), Error);
  }
  TlsSettings settings{.verify = true};
  add_tls_options(settings, {.ca = "a", .certificate = "b", .key = "c"});
  EXPECT_TRUE(verifies_clients(settings));
}

TEST(DaemonSettingsTest, TheCommandLineAddsAndNeverOverrides) {
  DaemonSettings settings;
  add_exec_options(settings, {});
  EXPECT_EQ(settings.isolation, "");
  EXPECT_THROW(add_exec_options(settings, {"isolation=process", "isolation=hyperv"}), Error);
  add_exec_options(settings, {"isolation=hyperv", "isolation=HyperV"});
  EXPECT_EQ(settings.isolation, "hyperv");
  EXPECT_EQ(settings.isolation_source, "--exec-opt");
  DaemonSettings from_file = parse_daemon_settings(R"({"exec-opts": ["isolation=hyperv"]})", "/x");
  EXPECT_THROW(add_exec_options(from_file, {"isolation=process"}), Error);
  EXPECT_EQ(from_file.isolation, "hyperv");
}

}  // namespace
}  // namespace bulkhead::settings
