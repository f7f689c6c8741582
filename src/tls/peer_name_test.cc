#include "tls/peer_name.h"

#include <gtest/gtest.h>

#include "support/error.h"
#include "tls/authority_test.h"

namespace bulkhead::tls {
namespace {

class PeerNameTest : public ::testing::Test {
 protected:
  std::string name_of(const std::vector<Part>& names, const std::string& alternative = "") {
    Certificate made = authority_.certificate(names, key_.get(), alternative);
    return common_name(*made);
  }
  void expect_refused(const std::vector<Part>& names) {
    try {
      ADD_FAILURE() << "'" << name_of(names) << "' was taken";
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kPermissionDenied);
    }
  }
  Authority authority_{"names"};
  Key key_ = Authority::new_key();
};

TEST_F(PeerNameTest, IsTheCommonName) {
  EXPECT_EQ(name_of({{.text = "ci.example"}}), "ci.example");
  EXPECT_EQ(name_of({{.text = "Zo\xc3\xab"}}), "Zo\xc3\xab");
  EXPECT_EQ(name_of({{.type = V_ASN1_BMPSTRING, .text = std::string("\0Z\0o\0\xeb", 6)}}), "Zo\xc3\xab");
  EXPECT_EQ(name_of({{.type = V_ASN1_PRINTABLESTRING, .text = "plain"}}), "plain");
}

TEST_F(PeerNameTest, AlternativeNamesNameNobody) { EXPECT_EQ(name_of({}, "DNS:admin"), ""); }

// X.520 bounds a common name at 64 characters, which not every authority does: what it signs is looked at as it is.
TEST_F(PeerNameTest, WhatIsNoNameToDecideByIsRefused) {
  expect_refused({{.type = V_ASN1_UTF8STRING, .text = std::string("admin\0.evil", 11)}});
  expect_refused({{.type = V_ASN1_BMPSTRING, .text = std::string("\0a\0\0", 4)}});
  expect_refused({{.type = V_ASN1_UTF8STRING, .text = "a\nb"}});
  expect_refused({{.type = V_ASN1_UTF8STRING, .text = "a\x7f"}});
  expect_refused({{.type = V_ASN1_UTF8STRING, .text = "a\xc2\x85"}});
  expect_refused({{.type = V_ASN1_UTF8STRING, .text = "a\xff"}});
  expect_refused({{.type = V_ASN1_UTF8STRING, .text = std::string(kLongestName + 1, 'a')}});
  expect_refused({{.text = "one"}, {.text = "two"}});
  EXPECT_EQ(name_of({{.type = V_ASN1_UTF8STRING, .text = std::string(kLongestName, 'a')}}), std::string(kLongestName, 'a'));
}

}  // namespace
}  // namespace bulkhead::tls
