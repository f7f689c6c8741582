#include "engine/name_texts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/error.h"

namespace bulkhead::engine {
namespace {

constexpr const char* kDefaults =
    "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\nfe00::\tip6-localnet\nff00::\tip6-mcastprefix\n"
    "ff02::1\tip6-allnodes\nff02::2\tip6-allrouters\n";

Container box() {
  Container container;
  container.config.hostname = "box";
  container.endpoint = network::Endpoint{.address = "172.17.0.2", .gateway = "172.17.0.1"};
  return container;
}

TEST(Hosts, DefaultsThenExtrasThenItself) {
  Container container = box();
  EXPECT_EQ(hosts_text(container, ""), std::string(kDefaults) + "172.17.0.2\tbox\n");
  container.host_config.extra_hosts = {"db:10.0.0.5", "six:fd00::1", "bracket:[fd00::2]", "up:host-gateway"};
  EXPECT_EQ(hosts_text(container, ""),
            std::string(kDefaults) + "10.0.0.5\tdb\nfd00::1\tsix\nfd00::2\tbracket\n172.17.0.1\tup\n172.17.0.2\tbox\n");
  container.host_config.extra_hosts.clear();
  container.config.domainname = "example.org";
  EXPECT_EQ(hosts_text(container, ""), std::string(kDefaults) + "172.17.0.2\tbox.example.org box\n");
}

TEST(Hosts, OnTheHostsNetworkItIsTheHostsFile) {
  Container container = box();
  container.endpoint.reset();
  container.host_config.network_mode = "host";
  container.host_config.extra_hosts = {"db:10.0.0.5", "up:host-gateway"};
  EXPECT_EQ(hosts_text(container, "127.0.0.1 localhost"), "127.0.0.1 localhost\n10.0.0.5\tdb\n127.0.0.1\tup\n");
}

TEST(Hosts, BadExtrasAreRefused) {
  for (const char* extra :
       {"", "db", "db:", ":1.2.3.4", "db:1.2.3", "db:name", "a b:1.2.3.4", "db\n127.0.0.1 evil:1.2.3.4", "db:1.2.3.4\n"}) {
    Container container = box();
    container.host_config.extra_hosts = {extra};
    EXPECT_THROW(hosts_text(container, ""), Error) << extra;
  }
  Container alone = box();
  alone.endpoint.reset();
  alone.host_config.network_mode = "none";
  alone.host_config.extra_hosts = {"up:host-gateway"};
  EXPECT_THROW(hosts_text(alone, ""), Error);
}

TEST(ResolvConf, LeavesOutWhatCannotBeReached) {
  HostConfig host;
  EXPECT_EQ(resolv_conf_text(
                host, "# hi\nnameserver 127.0.0.53\nnameserver 10.0.0.2 # x\nnameserver fd00::3\nsearch a b\noptions edns0\n"),
            "nameserver 10.0.0.2\nsearch a b\noptions edns0\n");
  EXPECT_EQ(resolv_conf_text(host, "nameserver 127.0.0.1\n"), "nameserver 8.8.8.8\nnameserver 8.8.4.4\n");
  EXPECT_EQ(resolv_conf_text(host, ""), "nameserver 8.8.8.8\nnameserver 8.8.4.4\n");
}

TEST(ResolvConf, IsOverriddenPartByPart) {
  HostConfig host;
  host.dns = {"1.1.1.1", "::1"};
  EXPECT_EQ(resolv_conf_text(host, "nameserver 10.0.0.2\nsearch a\n"), "nameserver 1.1.1.1\nnameserver ::1\nsearch a\n");
  host.dns_search = {"."};
  host.dns_options = {"ndots:2", "use-vc"};
  EXPECT_EQ(resolv_conf_text(host, "search a\n"), "nameserver 1.1.1.1\nnameserver ::1\noptions ndots:2 use-vc\n");
}

TEST(ResolvConf, OnTheHostsNetworkItIsTheHostsFile) {
  HostConfig host;
  host.network_mode = "host";
  EXPECT_EQ(resolv_conf_text(host, "nameserver 127.0.0.53\n# kept\n"), "nameserver 127.0.0.53\n# kept\n");
  host.dns_search = {"x.org"};
  EXPECT_EQ(resolv_conf_text(host, "nameserver 127.0.0.53\n"), "nameserver 127.0.0.53\nsearch x.org\n");
}

TEST(ResolvConf, BadOptionsAreRefused) {
  for (const char* server : {"", "dns.example.org", "1.1.1.1\nnameserver 6.6.6.6"}) {
    HostConfig host;
    host.dns = {server};
    EXPECT_THROW(resolv_conf_text(host, ""), Error) << server;
  }
  HostConfig host;
  host.dns_search = {"a\nnameserver 6.6.6.6"};
  EXPECT_THROW(resolv_conf_text(host, ""), Error);
}

TEST(ResolvConf, KnowsTheStub) {
  EXPECT_TRUE(only_systemd_resolved("nameserver 127.0.0.53\noptions edns0 trust-ad\n"));
  EXPECT_FALSE(only_systemd_resolved("nameserver 127.0.0.53\nnameserver 10.0.0.1\n"));
}

}  // namespace
}  // namespace bulkhead::engine
