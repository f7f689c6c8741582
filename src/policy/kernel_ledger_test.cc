#include "policy/kernel_ledger.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <barrier>
#include <random>
#include <set>
#include <thread>

namespace bulkhead::policy {
namespace {

constexpr const char* kHost = KernelLedger::kHostKernel;

Resident of_tenant(std::string tenant) { return {.identity = {.tenant = std::move(tenant), .environment = ""}}; }
Resident of_environment(std::string environment, Separation separation) {
  return {.identity = {.tenant = "a", .environment = std::move(environment)}, .separation = separation};
}

TEST(KernelLedger, OneTenantSharesAKernelAndTwoDoNot) {
  KernelLedger ledger;
  EXPECT_FALSE(ledger.claim(kHost, "1", of_tenant("a")));
  EXPECT_FALSE(ledger.claim(kHost, "2", of_tenant("a")));
  auto intruder = ledger.claim(kHost, "3", of_tenant("b"));
  ASSERT_TRUE(intruder);
  EXPECT_EQ(intruder->resident.identity.tenant, "a");
  EXPECT_FALSE(ledger.claim("vm-3", "3", of_tenant("b")));
  EXPECT_EQ(ledger.residents(kHost).size(), 2U);
  EXPECT_EQ(ledger.residents_beside("3").size(), 1U);
}

TEST(KernelLedger, WhoNamesNoTenantIsNobodysNeighbour) {
  KernelLedger ledger;
  EXPECT_FALSE(ledger.claim(kHost, "1", of_tenant("")));
  EXPECT_FALSE(ledger.claim(kHost, "2", of_tenant("")));
  EXPECT_TRUE(ledger.claim(kHost, "3", of_tenant("a")));
}

TEST(KernelLedger, AKernelIsFreeOnceItsLastContainerIsRemoved) {
  KernelLedger ledger;
  EXPECT_FALSE(ledger.claim(kHost, "1", of_tenant("a")));
  EXPECT_FALSE(ledger.claim(kHost, "2", of_tenant("a")));
  ledger.release("1");
  EXPECT_TRUE(ledger.claim(kHost, "3", of_tenant("b")));
  ledger.release("2");
  ledger.release("2");
  EXPECT_FALSE(ledger.claim(kHost, "3", of_tenant("b")));
}

TEST(KernelLedger, EnvironmentsAreKeptApartWhereOneOfTheTwoAsksForIt) {
  KernelLedger ledger;
  EXPECT_FALSE(ledger.claim(kHost, "1", of_environment("dev", Separation::kTenants)));
  EXPECT_FALSE(ledger.claim(kHost, "2", of_environment("test", Separation::kTenants)));
  EXPECT_TRUE(ledger.claim(kHost, "3", of_environment("production", Separation::kEnvironments)));
  ledger.release("1");
  ledger.release("2");
  EXPECT_FALSE(ledger.claim(kHost, "3", of_environment("production", Separation::kEnvironments)));
  EXPECT_TRUE(ledger.claim(kHost, "4", of_environment("dev", Separation::kTenants)));
  EXPECT_FALSE(ledger.claim(kHost, "5", of_environment("production", Separation::kTenants)));
}

TEST(KernelLedger, WhatIsFoundAgainIsTakenInAndReported) {
  KernelLedger ledger;
  EXPECT_FALSE(ledger.adopt(kHost, "1", of_tenant("a")));
  EXPECT_TRUE(ledger.adopt(kHost, "2", of_tenant("b")));
  EXPECT_EQ(ledger.intruder("1")->container, "2");
  EXPECT_EQ(ledger.intruder("2")->container, "1");
  ledger.release("1");
  EXPECT_FALSE(ledger.intruder("2"));
  EXPECT_FALSE(ledger.intruder("unknown"));
}

/// What the engine does for each container: a place on the host's kernel, or else a kernel of its own.
std::string settle(KernelLedger& ledger, const std::string& container, const Resident& resident) {
  if (!ledger.claim(kHost, container, resident)) {
    return kHost;
  }
  EXPECT_FALSE(ledger.claim(container, container, resident));
  return container;
}

TEST(KernelLedger, TwoHundredAtOnceOfFiveTenantsNeverShareAKernel) {
  for (unsigned round = 0; round < 20; ++round) {
    KernelLedger ledger;
    std::vector<int> order(200);
    for (size_t i = 0; i < order.size(); ++i) {
      order[i] = static_cast<int>(i);
    }
    std::shuffle(order.begin(), order.end(), std::mt19937(round));
    std::barrier start(20);
    std::vector<std::thread> threads;
    for (size_t thread = 0; thread < 20; ++thread) {
      threads.emplace_back([&, thread] {
        start.arrive_and_wait();
        for (size_t i = thread * 10; i < (thread + 1) * 10; ++i) {
          std::string container = fmt::format("c{}", order[i]);
          settle(ledger, container, of_tenant(fmt::format("tenant{}", order[i] % 5)));
          if (order[i] % 7 == 0) {
            ledger.release(container);
          }
        }
      });
    }
    for (std::thread& thread : threads) {
      thread.join();
    }
    std::set<std::string> tenants;
    for (const Neighbour& neighbour : ledger.residents(kHost)) {
      tenants.insert(neighbour.resident.identity.tenant);
    }
    EXPECT_LE(tenants.size(), 1U);
  }
}

}  // namespace
}  // namespace bulkhead::policy
