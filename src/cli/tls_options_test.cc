#include "cli/tls_options.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "support/error.h"
#include "support/files.h"

namespace bulkhead::cli {
namespace {

const std::string kTcp = "tcp://127.0.0.1:2376";
const std::string kUnix = "unix:///run/x.sock";

class TlsOptionsTest : public ::testing::Test {
 protected:
  TlsOptionsTest() : folder_("/tmp/bulkhead-tls-options-" + std::to_string(::getpid())) {
    for (const char* name : {"DOCKER_TLS_VERIFY", "DOCKER_TLS", "DOCKER_CONFIG"}) {
      ::unsetenv(name);
    }
    make_folders(folder_);
    ::setenv("DOCKER_CERT_PATH", folder_.c_str(), 1);
  }
  ~TlsOptionsTest() override {
    ::unsetenv("DOCKER_CERT_PATH");
    ::unsetenv("DOCKER_TLS_VERIFY");
    ::unsetenv("DOCKER_TLS");
    remove_folder(folder_);
  }
  void touch(const char* name) const { replace_file(folder_ / name, "", 0600, Durability::kUnsynced); }
  std::filesystem::path folder_;
};

TEST_F(TlsOptionsTest, NobodyAskedForIt) {
  EXPECT_FALSE(tls_files({}, kTcp));
  EXPECT_FALSE(tls_files({}, kUnix));
  ::setenv("DOCKER_TLS_VERIFY", "1", 1);
  EXPECT_FALSE(tls_files({}, kUnix));
  EXPECT_FALSE(tls_files({.verify = false}, kTcp));
}

TEST_F(TlsOptionsTest, FilesAreThoseOfTheFolder) {
  ::setenv("DOCKER_TLS_VERIFY", "1", 1);
  auto files = tls_files({}, kTcp);
  ASSERT_TRUE(files);
  EXPECT_EQ(files->ca, folder_ / "ca.pem");
  EXPECT_TRUE(files->certificate.empty());
  touch("cert.pem");
  EXPECT_THROW(tls_files({}, kTcp), Error);
  touch("key.pem");
  EXPECT_EQ(tls_files({}, kTcp)->key, folder_ / "key.pem");
  EXPECT_EQ(tls_files({.certificate = "/c", .key = "/k"}, kTcp)->key, "/k");
  EXPECT_THROW(tls_files({.certificate = "/c"}, kTcp), Error);
}

TEST_F(TlsOptionsTest, TlsThatVerifiesNobodyIsRefused) {
  EXPECT_THROW(tls_files({.tls = true}, kTcp), Error);
  EXPECT_THROW(tls_files({.ca = "/ca"}, kTcp), Error);
  ::setenv("DOCKER_TLS", "1", 1);
  EXPECT_THROW(tls_files({}, kTcp), Error);
}

TEST_F(TlsOptionsTest, OptionsOnAUnixSocketAreRefused) {
  EXPECT_THROW(tls_files({.verify = true}, kUnix), Error);
  EXPECT_THROW(tls_files({.key = "/k"}, kUnix), Error);
}

}  // namespace
}  // namespace bulkhead::cli
