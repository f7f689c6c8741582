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
  for (const char* bad : {"", "[]", "3", "{", R"({"exec-opts": "isolation=process"})", R"({"exec-opts": [1]})",
                          R"({"debug": "yes"})", R"({"insecure-registries": {}})", R"({"exec-opts": ["isolation"]})"}) {
    EXPECT_NE(error_of(bad).find("/etc/x.json"), std::string::npos) << bad;
  }
}

TEST(DaemonSettingsTest, TheCommandLineAddsAndNeverOverrides) {
  DaemonSettings settings;
  add_exec_options(settings, {});
  EXPECT_EQ(settings.isolation, "");
  add_exec_options(settings, {"isolation=process", "isolation=hyperv"});
  EXPECT_EQ(settings.isolation, "hyperv");
  EXPECT_EQ(settings.isolation_source, "--exec-opt");
  DaemonSettings from_file = parse_daemon_settings(R"({"exec-opts": ["isolation=hyperv"]})", "/x");
  EXPECT_THROW(add_exec_options(from_file, {"isolation=process"}), Error);
  EXPECT_EQ(from_file.isolation, "hyperv");
}

}  // namespace
}  // namespace bulkhead::settings
