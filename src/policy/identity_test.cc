#include "policy/identity.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "policy/policy.h"
#include "support/error.h"

namespace bulkhead::policy {
namespace {

constexpr const char* kRules = "rules: [{match: any, allow: all}]\n";

IdentityRules rules_of(const std::string& text) { return Policy::parse("version: 1\n" + text + kRules, "p.yaml").identities(); }

struct Asker {
  std::optional<uint32_t> uid;
  std::string tenant, environment;
};

/// "tenant/environment", or "refused".
std::string identity_of(const IdentityRules& rules, const Asker& asker) {
  Request request;
  request.caller.uid = asker.uid;
  if (!asker.tenant.empty()) {
    request.labels["org.bulkhead.tenant"] = asker.tenant;
  }
  if (!asker.environment.empty()) {
    request.labels["org.bulkhead.environment"] = asker.environment;
  }
  try {
    Identity identity = identify(rules, request);
    return identity.tenant + "/" + identity.environment;
  } catch (const Error& error) {
    EXPECT_EQ(error.code(), ErrorCode::kPermissionDenied);
    return "refused";
  }
}

TEST(Identity, LabelsSayItWhereNoCallersAreBound) {
  IdentityRules rules = rules_of("");
  EXPECT_EQ(identity_of(rules, {{}, "acme", "dev"}), "acme/dev");
  EXPECT_EQ(identity_of(rules, {{}, "", ""}), "/");
  EXPECT_EQ(identity_of(rules, {{}, "acme", "prod"}), "refused");
  EXPECT_EQ(identity_of(rules, {{}, "any", ""}), "refused");
  EXPECT_EQ(identity_of(rules, {{}, "a b", ""}), "refused");
  EXPECT_EQ(identity_of(rules, {{}, "../x", ""}), "refused");
}

TEST(Identity, WhatIsNotLabelledIsNamedOrRefused) {
  IdentityRules rules = rules_of("tenants: {unlabelled: refuse}\nenvironments: {unlabelled: production}\n");
  EXPECT_EQ(identity_of(rules, {{}, "", ""}), "refused");
  EXPECT_EQ(identity_of(rules, {{}, "acme", ""}), "acme/production");
}

TEST(Identity, OtherLabelsAndNames) {
  IdentityRules rules = rules_of("tenants: {label: team, names: [a, b]}\nenvironments: {names: [live, lab]}\n");
  Request request;
  request.labels = {{"team", "b"}, {"org.bulkhead.tenant", "acme"}, {"org.bulkhead.environment", "lab"}};
  EXPECT_EQ(identify(rules, request), (Identity{.tenant = "b", .environment = "lab"}));
  request.labels["team"] = "c";
  EXPECT_THROW(identify(rules, request), Error);
}

TEST(Identity, ABoundCallerCanNotForgeItsLabels) {
  IdentityRules rules = rules_of(
      "callers:\n"
      "- {uid: 1001, tenant: acme, environments: [dev, test]}\n"
      "- {uid: [1002, 1003], tenants: [globex, initech]}\n"
      "- {uid: 0, tenants: any}\n");
  EXPECT_EQ(identity_of(rules, {1001, "", "dev"}), "acme/dev");
  EXPECT_EQ(identity_of(rules, {1001, "acme", "test"}), "acme/test");
  EXPECT_EQ(identity_of(rules, {1001, "globex", "dev"}), "refused");
  EXPECT_EQ(identity_of(rules, {1001, "", "production"}), "refused");
  EXPECT_EQ(identity_of(rules, {1001, "", ""}), "refused");
  EXPECT_EQ(identity_of(rules, {1003, "initech", ""}), "initech/");
  EXPECT_EQ(identity_of(rules, {1003, "", ""}), "refused");
  EXPECT_EQ(identity_of(rules, {0, "globex", "dev"}), "globex/dev");
  EXPECT_EQ(identity_of(rules, {1004, "x", ""}), "refused");
  EXPECT_EQ(identity_of(rules, {{}, "x", ""}), "refused");
}

TEST(Identity, AnUnlistedCallerCanNotMoveInWithAListedOne) {
  IdentityRules rules = rules_of("callers: [{uid: 1001, tenant: acme}]\nunlisted-callers: by label\n");
  EXPECT_EQ(identity_of(rules, {1004, "other", ""}), "other/");
  EXPECT_EQ(identity_of(rules, {1004, "acme", ""}), "refused");
  EXPECT_EQ(identity_of(rules, {{}, "acme", ""}), "refused");
}

TEST(Identity, TlsNamesAreCallersToo) {
  IdentityRules rules = rules_of("callers: [{tls: ci.example, tenant: acme}]\n");
  Request request;
  EXPECT_THROW(identify(rules, request), Error);
  request.caller.tls_name = "ci.example";
  EXPECT_EQ(identify(rules, request).tenant, "acme");
}

}  // namespace
}  // namespace bulkhead::policy
