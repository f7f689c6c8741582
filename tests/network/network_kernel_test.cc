// The network code against a real kernel. The test process moves into network and mount namespaces of its own first, so that
// the host's links, rules and mounts stay as they are.
#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <set>
#include <thread>

#include "database/database.h"
#include "network/addresses.h"
#include "network/network_store.h"
#include "support/error.h"
#include "support/files.h"
#include "support/unique_fd.h"

namespace bulkhead::network {
namespace {

using std::chrono::steady_clock;
using testing::HasSubstr;
using testing::Not;

double milliseconds_since(steady_clock::time_point start) {
  return std::chrono::duration<double, std::milli>(steady_clock::now() - start).count();
}

std::string output_of(const std::string& command) {
  std::string text;
  FILE* pipe = popen((command + " 2>&1").c_str(), "r");
  std::array<char, 4096> buffer{};
  while (size_t size = fread(buffer.data(), 1, buffer.size(), pipe)) {
    text.append(buffer.data(), size);
  }
  pclose(pipe);
  return text;
}

/// Runs `body` in a thread inside the namespace kept at `path`.
void inside(const std::string& path, const std::function<void()>& body) {
  std::thread([&] {
    UniqueFd file = open_file(path, O_RDONLY);
    ASSERT_EQ(setns(file.get(), CLONE_NEWNET), 0) << path;
    body();
  }).join();
}

std::string output_inside(const std::string& path, const std::string& command) {
  std::string text;
  inside(path, [&] { text = output_of(command); });
  return text;
}

sockaddr_in address_of(const std::string& text, uint16_t port) {
  sockaddr_in address{.sin_family = AF_INET, .sin_port = htons(port)};
  inet_pton(AF_INET, text.c_str(), &address.sin_addr);
  return address;
}

/// A TCP server inside the namespace; its accept answers who the peer seemed to be.
class Server {
 public:
  Server(const std::string& path, const std::string& address, uint16_t port) {
    inside(path, [&] { listen_here(address, port); });
  }
  Server(const std::string& address, uint16_t port) { listen_here(address, port); }
  std::string accept_peer() {
    sockaddr_in peer{};
    socklen_t size = sizeof(peer);
    UniqueFd accepted(accept(socket_.get(), reinterpret_cast<sockaddr*>(&peer), &size));
    std::array<char, 32> text{};
    inet_ntop(AF_INET, &peer.sin_addr, text.data(), text.size());
    return accepted ? text.data() : "";
  }

 private:
  void listen_here(const std::string& text, uint16_t port) {
    socket_.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    timeval timeout{.tv_sec = 2};
    setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout));
    sockaddr_in address = address_of(text, port);
    ASSERT_EQ(bind(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    ASSERT_EQ(listen(socket_.get(), 5), 0);
  }
  UniqueFd socket_;
};

/// From inside the namespace at `path` ("": from the host).
bool can_connect(const std::string& path, const std::string& text, uint16_t port) {
  bool connected = false;
  auto attempt = [&] {
    UniqueFd socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    timeval timeout{.tv_usec = 700'000};
    setsockopt(socket.get(), SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout));
    sockaddr_in address = address_of(text, port);
    connected = ::connect(socket.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
  };
  if (path.empty()) {
    attempt();
  } else {
    inside(path, attempt);
  }
  return connected;
}

bool eventually(const std::function<bool()>& condition) {
  auto start = steady_clock::now();
  while (!condition()) {
    if (milliseconds_since(start) > 1000) {
      return false;
    }
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

class NetworkKernel : public testing::Test {
 protected:
  void SetUp() override {
    std::string pattern = "/tmp/bulkhead-network-test.XXXXXX";
    ASSERT_NE(mkdtemp(pattern.data()), nullptr);
    root_ = pattern;
    reopen();
  }
  void TearDown() override {
    if (store_) {
      store_->recover([](const std::string&) { return false; });
      store_->remove_unused();
      store_.reset();
    }
    database_.reset();
    std::filesystem::remove_all(root_);
  }
  void reopen() {
    store_.reset();
    database_.reset();
    database_ = std::make_unique<Database>(root_ / "state.db");
    store_ = std::make_unique<NetworkStore>(options_with("test", ""), *database_);
  }
  NetworkStoreOptions options_with(const std::string& instance, const std::string& subnet) const {
    return {.run_root = root_ / instance, .instance = instance, .bridge_subnet = subnet};
  }
  std::string netns_mounts() const { return output_of("grep " + root_.native() + " /proc/self/mountinfo"); }

  std::filesystem::path root_;
  std::unique_ptr<Database> database_;
  std::unique_ptr<NetworkStore> store_;
};

TEST_F(NetworkKernel, ContainerReachesGatewayAndNeighbour) {
  Endpoint one = store_->connect("one", "bridge");
  Endpoint two = store_->connect("two", "default");
  EXPECT_EQ(one.mac_address, mac_of(*parse_ipv4(one.address)));
  std::string links = output_inside(one.namespace_path, "ip -o addr");
  EXPECT_THAT(links, HasSubstr(one.address + "/16"));
  EXPECT_THAT(links, HasSubstr("127.0.0.1/8"));
  EXPECT_THAT(links, Not(HasSubstr("inet6 fe80")));
  EXPECT_THAT(output_inside(one.namespace_path, "ip -o link show eth0"), HasSubstr(one.mac_address));
  EXPECT_THAT(output_inside(one.namespace_path, "ip route"), HasSubstr("default via " + one.gateway + " dev eth0"));

  Server at_gateway(one.gateway, 7001);
  auto start = steady_clock::now();
  EXPECT_TRUE(can_connect(one.namespace_path, one.gateway, 7001));
  std::printf("first connection to the gateway: %.2f ms\n", milliseconds_since(start));
  EXPECT_EQ(at_gateway.accept_peer(), one.address);

  Server at_two(two.namespace_path, two.address, 7002);
  EXPECT_TRUE(can_connect(one.namespace_path, two.address, 7002));
  EXPECT_EQ(at_two.accept_peer(), one.address);
  EXPECT_TRUE(can_connect("", two.address, 7002)) << "the host reaches its containers";
}

TEST_F(NetworkKernel, FramesPassAtOnce) {
  Endpoint first = store_->connect("first", "bridge");
  Server server(first.namespace_path, first.address, 7008);
  for (int i = 0; i < 40; ++i) {
    std::string id = fmt::format("c{}", i);
    Endpoint endpoint = store_->connect(id, "bridge");
    auto start = steady_clock::now();
    ASSERT_TRUE(can_connect(endpoint.namespace_path, first.address, 7008)) << i;
    EXPECT_LT(milliseconds_since(start), 500) << "a frame was lost";
    server.accept_peer();
    store_->release(id);
  }
}

/// Prints rather than judges: machines differ.
TEST_F(NetworkKernel, TimesOfConnectAndRelease) {
  store_->connect("first", "bridge");
  for (auto [network, pause] : {std::pair{"bridge", 20}, {"bridge", 0}, {"none", 0}}) {
    std::vector<double> connects, releases;
    for (int i = 0; i < 41; ++i) {
      std::string id = fmt::format("{}{}{}", i, network, pause);
      auto start = steady_clock::now();
      store_->connect(id, network);
      connects.push_back(milliseconds_since(start));
      start = steady_clock::now();
      store_->release(id);
      releases.push_back(milliseconds_since(start));
      std::this_thread::sleep_for(std::chrono::milliseconds(pause));
    }
    std::sort(connects.begin(), connects.end());
    std::sort(releases.begin(), releases.end());
    std::printf("%s, every %d ms: connect median %.2f ms, worst %.2f; release median %.2f ms, worst %.2f\n", network, pause,
                connects[20], connects[40], releases[20], releases[40]);
  }
}

TEST_F(NetworkKernel, MasqueradesTowardsTheOutsideAndLetsNobodyIn) {
  // A second machine: a namespace behind a veth pair that knows no way back to the bridge's subnet.
  output_of(
      "ip netns add outside; ip link add up0 type veth peer name up1 netns outside; ip addr add 198.51.100.1/24 dev up0; "
      "ip link set up0 up; ip -n outside addr add 198.51.100.2/24 dev up1; ip -n outside link set up1 up; "
      "ip -n outside link set lo up");
  Endpoint one = store_->connect("one", "bridge");
  const std::string outside = "/run/netns/outside";
  Server server(outside, "198.51.100.2", 7003);
  EXPECT_TRUE(can_connect(one.namespace_path, "198.51.100.2", 7003));
  EXPECT_EQ(server.accept_peer(), "198.51.100.1") << "the container's address must not leave the host";

  output_of("ip -n outside route add " + one.address + "/32 via 198.51.100.1");
  Server in_container(one.namespace_path, one.address, 7004);
  EXPECT_TRUE(can_connect("", one.address, 7004));
  EXPECT_FALSE(can_connect(outside, one.address, 7004)) << "a neighbour of the host came in";
  output_of("ip netns del outside");
}

TEST_F(NetworkKernel, ContainersCannotSendUnderForeignAddresses) {
  Endpoint one = store_->connect("one", "bridge");
  output_of(
      "ip netns add outside; ip link add up0 type veth peer name up1 netns outside; ip addr add 198.51.100.1/24 dev up0; "
      "ip link set up0 up; ip -n outside addr add 198.51.100.2/24 dev up1; ip -n outside link set up1 up; "
      "ip route add 203.0.113.7 dev " +
      store_->find("bridge").bridge);
  // The host would route answers to this address back; only the firewall stands in the way.
  output_inside(one.namespace_path, "ip addr add 203.0.113.7/32 dev eth0; ip route replace default via " + one.gateway +
                                        " dev eth0 src 203.0.113.7");
  Server server("/run/netns/outside", "198.51.100.2", 7003);
  EXPECT_FALSE(can_connect(one.namespace_path, "198.51.100.2", 7003));
  output_inside(one.namespace_path, "ip route replace default via " + one.gateway + " dev eth0 src " + one.address);
  EXPECT_TRUE(can_connect(one.namespace_path, "198.51.100.2", 7003)) << "under its own it can";
  output_of("ip netns del outside");
}

TEST_F(NetworkKernel, InstancesAreApart) {
  Database other_database(root_ / "other.db");
  NetworkStore other(options_with("other", ""), other_database);
  Endpoint mine = store_->connect("one", "bridge");
  Endpoint theirs = other.connect("one", "bridge");
  EXPECT_NE(store_->find("bridge").subnet, other.find("bridge").subnet);
  Server server(theirs.namespace_path, theirs.address, 7005);
  EXPECT_FALSE(can_connect(mine.namespace_path, theirs.address, 7005));
  EXPECT_TRUE(can_connect("", theirs.address, 7005));
  other.recover([](const std::string&) { return false; });
  other.remove_unused();
  EXPECT_THAT(output_of("ip -o link"), HasSubstr("bhtest0")) << "removing one instance must not touch the other";
}

TEST_F(NetworkKernel, NoneHasLoopbackOnlyAndHostHasNothing) {
  Endpoint none = store_->connect("n", "none");
  EXPECT_EQ(none.address, "");
  EXPECT_THAT(output_inside(none.namespace_path, "ip -o addr"), HasSubstr("127.0.0.1"));
  EXPECT_EQ(output_inside(none.namespace_path, "ip -o link | grep -v ' lo:' | grep -c UP"), "0\n");
  Endpoint host = store_->connect("h", "host");
  EXPECT_EQ(host.namespace_path, "");
  EXPECT_THAT(output_of("nft list tables; ip -o link"), Not(HasSubstr("test"))) << "nobody needed the bridge";
  EXPECT_THROW(store_->connect("x", "nowhere"), Error);
  EXPECT_THROW(store_->connect("../x", "none"), Error);
  EXPECT_THROW(store_->connect("n", "none"), Error) << "twice";
  EXPECT_TRUE(store_->endpoint("n")) << "the refused second connect must not undo the first";
}

TEST_F(NetworkKernel, ThreeHundredConnectsShareNothing) {
  std::set<std::string> addresses, links;
  for (int i = 0; i < 300; ++i) {
    Endpoint endpoint = store_->connect(fmt::format("same-beginning-{}", i), "bridge");
    EXPECT_TRUE(addresses.insert(endpoint.address).second) << endpoint.address;
    EXPECT_TRUE(links.insert(endpoint.host_interface).second) << endpoint.host_interface;
    EXPECT_LE(endpoint.host_interface.size(), 15U);
  }
  std::string before = *addresses.begin();
  reopen();
  EXPECT_TRUE(addresses.insert(store_->connect("later", "bridge").address).second) << "survives a restart";
}

TEST_F(NetworkKernel, EightThreadsConnectAtOnce) {
  std::atomic<int> failures = 0;
  std::mutex mutex;
  std::set<std::string> addresses;
  std::array<std::thread, 8> threads;
  for (size_t t = 0; t < threads.size(); ++t) {
    threads[t] = std::thread([&, t] {
      for (int i = 0; i < 10; ++i) {
        try {
          std::string id = fmt::format("t{}-{}", t, i);
          Endpoint endpoint = store_->connect(id, "bridge");
          std::lock_guard lock(mutex);
          failures += addresses.insert(endpoint.address).second ? 0 : 1;
          if (i % 2 == 0) {
            store_->release(id);
          }
        } catch (const Error& error) {
          std::printf("%s\n", error.what());
          ++failures;
        }
      }
    });
  }
  for (auto& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(failures, 0);
  EXPECT_EQ(addresses.size(), 80U);
}

TEST_F(NetworkKernel, AReleasedAddressComesBackLast) {
  std::string first = store_->connect("a", "bridge").address;
  store_->release("a");
  store_->release("a");
  EXPECT_NE(store_->connect("b", "bridge").address, first);
}

TEST_F(NetworkKernel, ARestartedContainerHasANetworkAtOnce) {
  for (int i = 0; i < 30; ++i) {
    Endpoint endpoint = store_->connect("again", "bridge");
    std::this_thread::sleep_for(std::chrono::milliseconds(i % 7));
    EXPECT_THAT(output_of("ip -o link show " + endpoint.host_interface), HasSubstr("master bhtest0")) << i;
    store_->release("again");
  }
}

TEST_F(NetworkKernel, MendsWhatOthersBroke) {
  Endpoint one = store_->connect("one", "bridge");
  output_of("nft flush ruleset");
  store_->connect("two", "bridge");
  EXPECT_THAT(output_of("nft list ruleset"), HasSubstr("masquerade"));
  output_of("nft flush chain ip bulkhead_test forward");
  store_->connect("three", "bridge");
  EXPECT_THAT(output_of("nft list ruleset"), HasSubstr("dnat accept"));
  output_of("ip link del bhtest0");
  Endpoint four = store_->connect("four", "bridge");
  Server server(one.namespace_path, one.address, 7006);
  EXPECT_TRUE(can_connect(four.namespace_path, one.address, 7006)) << "the older container is back in the bridge";
  output_of("ip link set bhtest0 down");
  store_->connect("five", "bridge");
  EXPECT_TRUE(can_connect(four.namespace_path, one.address, 7006));
  EXPECT_EQ(read_file("/proc/sys/net/ipv4/ip_forward"), "1\n");
  EXPECT_EQ(read_file("/proc/sys/net/ipv6/conf/bhtest0/disable_ipv6"), "1\n");
}

TEST_F(NetworkKernel, LeavesNothing) {
  for (int i = 0; i < 5; ++i) {
    store_->connect(fmt::format("c{}", i), i == 4 ? "none" : "bridge");
  }
  for (int i = 0; i < 5; ++i) {
    store_->release(fmt::format("c{}", i));
  }
  EXPECT_TRUE(eventually([] { return output_of("ip -o link | grep -c '@.*master bhtest0'") == "0\n"; }))
      << output_of("ip -o link");
  store_->remove_unused();
  EXPECT_THAT(output_of("ip -o link; ip -o addr; ip route"), Not(HasSubstr("bhtest")));
  EXPECT_EQ(output_of("nft list ruleset"), "");
  EXPECT_EQ(netns_mounts(), "");
  EXPECT_FALSE(std::filesystem::exists(root_ / "test" / "netns"));
}

TEST_F(NetworkKernel, AFailedConnectLeavesNothing) {
  store_->connect("one", "bridge");
  rlimit before{};
  getrlimit(RLIMIT_NOFILE, &before);
  int next = dup(0);
  close(next);
  int failed = 0;
  for (int spare = 0; spare < 8; ++spare) {  // descriptors run out at every step in turn
    std::string id = fmt::format("c{}", spare);
    rlimit limit{.rlim_cur = static_cast<rlim_t>(next + spare), .rlim_max = before.rlim_max};
    setrlimit(RLIMIT_NOFILE, &limit);
    try {
      store_->connect(id, "bridge");
      setrlimit(RLIMIT_NOFILE, &before);
      store_->release(id);
    } catch (const Error& error) {
      setrlimit(RLIMIT_NOFILE, &before);
      ++failed;
    }
    EXPECT_FALSE(store_->endpoint(id));
    EXPECT_FALSE(std::filesystem::exists(root_ / "test/netns" / id));
  }
  EXPECT_GE(failed, 2);
  EXPECT_TRUE(eventually([] { return output_of("ip -o link | grep -c 'master bhtest0'") == "1\n"; }))
      << output_of("ip -o link");
}

TEST_F(NetworkKernel, ReturnsToTheCallersNamespace) {
  auto before = std::filesystem::read_symlink("/proc/thread-self/ns/net");
  store_->connect("one", "bridge");
  EXPECT_EQ(std::filesystem::read_symlink("/proc/thread-self/ns/net"), before);
  std::thread([&] { EXPECT_EQ(std::filesystem::read_symlink("/proc/thread-self/ns/net"), before); }).join();
}

/// Kills a process that connects and releases as fast as it can, at a random moment; the next start must find its way.
TEST_F(NetworkKernel, KilledAtAnyMomentNothingIsLost) {
  store_->connect("alive", "bridge");
  std::string alive = store_->endpoint("alive")->address;
  for (int round = 0; round < 25; ++round) {
    store_.reset();
    database_.reset();
    pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      Database database(root_ / "state.db");
      NetworkStore store(options_with("test", ""), database);
      for (int i = 0;; ++i) {
        store.connect(fmt::format("dead{}", i), "bridge");
        if (i % 3 != 0) {
          store.release(fmt::format("dead{}", i));
        }
      }
    }
    std::this_thread::sleep_for(std::chrono::microseconds(3000 + round * 1370));
    kill(child, SIGKILL);
    waitpid(child, nullptr, 0);
    reopen();
    store_->recover([](const std::string& id) { return id == "alive"; });
    auto endpoint = store_->endpoint("alive");
    ASSERT_TRUE(endpoint);
    EXPECT_EQ(endpoint->address, alive);
    EXPECT_TRUE(eventually([] { return output_of("ip -o link | grep -c 'master bhtest0'") == "1\n"; }))
        << output_of("ip -o link");
    EXPECT_EQ(std::distance(std::filesystem::directory_iterator(root_ / "test/netns"), {}), 1);
    EXPECT_EQ(output_of("grep -c ' " + (root_ / "test/netns/").native() + "' /proc/self/mountinfo"), "1\n");
    Server server(endpoint->namespace_path, alive, 7007);
    Endpoint probe = store_->connect("probe", "bridge");
    EXPECT_TRUE(can_connect(probe.namespace_path, alive, 7007));
    store_->release("probe");
  }
}

TEST_F(NetworkKernel, AChosenSubnetIsTaken) {
  store_.reset();
  store_ = std::make_unique<NetworkStore>(options_with("test", "10.99.0.0/28"), *database_);
  Endpoint endpoint = store_->connect("one", "bridge");
  EXPECT_EQ(endpoint.address, "10.99.0.2");
  EXPECT_EQ(endpoint.gateway, "10.99.0.1");
  EXPECT_EQ(endpoint.prefix_length, 28);
  for (int i = 3; i <= 14; ++i) {
    store_->connect(fmt::format("c{}", i), "bridge");
  }
  EXPECT_THROW(store_->connect("too-many", "bridge"), Error);
  store_->release("c7");
  EXPECT_EQ(store_->connect("fits", "bridge").address, "10.99.0.7");
  EXPECT_THROW(NetworkStore(options_with("test", "10.99.0.1/28"), *database_), Error);
  EXPECT_THROW(NetworkStore(options_with("bad\"name", ""), *database_), Error);
}

TEST_F(NetworkKernel, AvoidsSubnetsOfTheHost) {
  output_of(
      "ip link add d0 type bridge; ip addr add 172.17.0.1/16 dev d0; ip link set d0 up; ip route add 172.18.0.0/15 dev d0");
  EXPECT_EQ(store_->connect("one", "bridge").address, "172.20.0.2");
  output_of("ip link del d0");
}

}  // namespace
}  // namespace bulkhead::network

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (unshare(CLONE_NEWNET | CLONE_NEWNS) != 0) {
    (void)std::fprintf(stderr, "skipped: needs root for namespaces of its own\n");
    return 77;
  }
  mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr);
  mount("tmpfs", "/run", "tmpfs", 0, nullptr);  // `ip netns` keeps its namespaces there
  if (std::system("ip link set lo up") != 0) {
    (void)std::fprintf(stderr, "failed: ip link set lo up\n");
    return 1;
  }
  return RUN_ALL_TESTS();
}
