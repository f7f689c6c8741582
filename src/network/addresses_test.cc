#include "network/addresses.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "support/error.h"

namespace bulkhead::network {
namespace {

TEST(Addresses, ReadsWhatItWrites) {
  for (std::string text : {"0.0.0.0", "1.2.3.4", "172.17.0.1", "255.255.255.255"}) {
    auto address = parse_ipv4(text);
    ASSERT_TRUE(address) << text;
    EXPECT_EQ(to_string(*address), text);
  }
}

TEST(Addresses, RefusesWhatIsNotAnAddress) {
  for (std::string text : {"", ".", "1", "1.2.3", "1.2.3.", "1.2.3.4.", "1.2.3.4.5", "256.1.1.1", "01.2.3.4", "1.2.3.-4",
                           " 1.2.3.4", "1.2.3.4 ", "a.b.c.d", "1..2.3", "4294967297.0.0.1"}) {
    EXPECT_FALSE(parse_ipv4(text)) << text;
  }
}

TEST(Addresses, SubnetsAreChecked) {
  EXPECT_EQ(to_string(parse_subnet("10.1.0.0/16")), "10.1.0.0/16");
  EXPECT_EQ(to_string(parse_subnet("10.1.2.0/30").last()), "10.1.2.3");
  for (std::string text :
       {"", "10.1.0.0", "10.1.0.0/", "10.1.0.0/31", "10.1.0.0/33", "0.0.0.0/0", "10.1.0.1/16", "x/8", "10.0.0.0/08"}) {
    EXPECT_THROW(parse_subnet(text), Error) << text;
  }
}

TEST(Addresses, OverlapIsSymmetric) {
  auto wide = parse_subnet("172.16.0.0/12");
  auto narrow = parse_subnet("172.20.0.0/16");
  auto other = parse_subnet("10.0.0.0/8");
  EXPECT_TRUE(wide.overlaps(narrow) && narrow.overlaps(wide));
  EXPECT_FALSE(other.overlaps(narrow) || narrow.overlaps(other));
}

TEST(Addresses, ChoosesTheFirstSubnetNobodyUses) {
  EXPECT_EQ(to_string(choose_subnet({})), "172.17.0.0/16");
  EXPECT_EQ(to_string(choose_subnet({parse_subnet("172.17.5.0/24"), parse_subnet("172.18.0.0/16")})), "172.19.0.0/16");
  EXPECT_EQ(to_string(choose_subnet({parse_subnet("172.16.0.0/12")})), "192.168.0.0/20");
  EXPECT_EQ(to_string(choose_subnet({parse_subnet("172.16.0.0/12"), parse_subnet("192.168.1.0/24")})), "192.168.16.0/20");
  EXPECT_THROW(choose_subnet({parse_subnet("172.16.0.0/12"), parse_subnet("192.168.0.0/16")}), Error);
}

TEST(Addresses, NextFitComesBackToAReleasedOneLast) {
  auto subnet = parse_subnet("10.0.0.0/29");  // gateway .1, containers .2 to .6
  std::set<Ipv4> used;
  auto take = [&](Ipv4 previous) {
    auto address = next_address(subnet, previous, [&](Ipv4 a) { return used.contains(a); });
    if (address) {
      used.insert(*address);
    }
    return address ? to_string(*address) : "none";
  };
  auto at = [&](int host) { return subnet.base + static_cast<Ipv4>(host); };
  EXPECT_EQ(take(0), "10.0.0.2");
  EXPECT_EQ(take(at(2)), "10.0.0.3");
  used.erase(at(3));
  EXPECT_EQ(take(at(3)), "10.0.0.4");
  EXPECT_EQ(take(at(4)), "10.0.0.5");
  EXPECT_EQ(take(at(5)), "10.0.0.6");
  EXPECT_EQ(take(at(6)), "10.0.0.3");
  EXPECT_EQ(take(at(3)), "none");
}

TEST(Addresses, NeverGivesNetworkGatewayOrBroadcast) {
  auto subnet = parse_subnet("10.0.0.0/30");
  EXPECT_EQ(next_address(subnet, 0, [](Ipv4) { return false; }), subnet.base + 2);
  EXPECT_EQ(next_address(subnet, subnet.base + 2, [](Ipv4) { return false; }), subnet.base + 2);
  EXPECT_EQ(next_address(subnet, subnet.base + 2, [](Ipv4) { return true; }), std::nullopt);
}

TEST(Addresses, MacFollowsTheAddress) { EXPECT_EQ(mac_of(*parse_ipv4("172.17.0.2")), "02:42:ac:11:00:02"); }

}  // namespace
}  // namespace bulkhead::network
