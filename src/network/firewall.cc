#include "network/firewall.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>

#include "support/error.h"
#include "support/files.h"
#include "support/spawn.h"
#include "support/unique_fd.h"

namespace bulkhead::network {
namespace {

constexpr size_t kRuleCount = 6;  // in firewall_rules

nfgenmsg ipv4_header() { return {.nfgen_family = NFPROTO_IPV4, .version = NFNETLINK_V0}; }

constexpr uint16_t message_type(uint16_t message) { return static_cast<uint16_t>(NFNL_SUBSYS_NFTABLES << 8 | message); }

/// SECURITY: the caller is root, so the program is looked for in the system's folders only, never in $PATH.
const char* nft_program() {
  for (const char* path : {"/usr/sbin/nft", "/sbin/nft", "/usr/bin/nft"}) {
    if (access(path, X_OK) == 0) {
      return path;
    }
  }
  throw Error(ErrorCode::kNotSupported,
              "the bridge network needs nft(8): install the package 'nftables', or use --network none");
}

UniqueFd memory_file(const char* name) {
  UniqueFd file(memfd_create(name, MFD_CLOEXEC));
  if (!file) {
    throw system_error("create a memory file for nft");
  }
  return file;
}

/// Runs `nft -f -`. Files in memory instead of pipes: neither side can block on the other.
void run_nft(const std::string& commands) {
  const char* program = nft_program();
  UniqueFd in = memory_file("nft-in");
  UniqueFd out = memory_file("nft-out");
  write_all(in.get(), commands);
  if (lseek(in.get(), 0, SEEK_SET) != 0) {
    throw system_error("rewind the memory file for nft");
  }
  pid_t child = spawn({.program = program,
                       .arguments = {program, "-f", "-"},
                       .folder = {},
                       .in = in.get(),
                       .out = out.get(),
                       .err = out.get()});
  int status = 0;
  if (TEMP_FAILURE_RETRY(waitpid(child, &status, 0)) != child) {
    throw system_error(fmt::format("wait for '{}'", program));
  }
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    (void)lseek(out.get(), 0, SEEK_SET);
    std::string said = read_all(out.get(), 4096);
    throw Error(ErrorCode::kNotSupported,
                fmt::format("set up the nftables table for the bridge: {}", said.substr(0, said.find('\n'))));
  }
}

}  // namespace

std::string firewall_rules(const std::string& table, const std::string& bridge, const Subnet& subnet) {
  // `add` before `delete`, so that the deletion never fails; one file is one transaction (nft(8)).
  // The forward chain keeps containers as far from other networks as Docker's isolation chains do: nobody outside opens a
  // connection to a container (other bridges, other instances and the host's neighbours alike) except through a published
  // port, and a container does not send under an address that its network does not have.
  constexpr const char* kRules = R"(add table ip {table}
delete table ip {table}
table ip {table} {{
  chain postrouting {{
    type nat hook postrouting priority srcnat; policy accept;
    ip saddr {subnet} oifname != "{bridge}" masquerade
  }}
  chain forward {{
    type filter hook forward priority filter; policy accept;
    iifname "{bridge}" ip saddr != {subnet} drop
    iifname "{bridge}" oifname "{bridge}" accept
    oifname "{bridge}" ct state established,related accept
    oifname "{bridge}" ct status dnat accept
    oifname "{bridge}" drop
  }}
}}
)";
  return fmt::format(kRules, fmt::arg("table", table), fmt::arg("subnet", to_string(subnet)), fmt::arg("bridge", bridge));
}

linux::NetlinkSocket& Firewall::socket() {
  if (!socket_) {
    socket_.emplace(NETLINK_NETFILTER);
  }
  return *socket_;
}

uint32_t Firewall::generation() {
  linux::NetlinkBatch batch;
  batch.request(message_type(NFT_MSG_GETGEN), 0, ipv4_header(), "ask nftables for its generation");
  uint32_t generation = 0;
  socket().query(std::move(batch), [&](const nlmsghdr& message) {
    linux::for_each_attribute(message, sizeof(nfgenmsg), [&](uint16_t type, std::string_view bytes) {
      if (type == NFTA_GEN_ID && bytes.size() == sizeof(generation)) {
        std::memcpy(&generation, bytes.data(), sizeof(generation));
      }
    });
  });
  return ntohl(generation);
}

size_t Firewall::rule_count() {
  linux::NetlinkBatch batch;
  batch.request(message_type(NFT_MSG_GETRULE), NLM_F_DUMP, ipv4_header(), fmt::format("list rules of table '{}'", table_));
  batch.put(NFTA_RULE_TABLE, table_);
  size_t count = 0;
  socket().query(std::move(batch), [&](const nlmsghdr&) { ++count; });
  return count;
}

void Firewall::ensure(const std::string& bridge, const Subnet& subnet) {
  uint32_t now = generation();
  if (checked_generation_ == now) {
    return;
  }
  if (rule_count() != kRuleCount) {
    run_nft(firewall_rules(table_, bridge, subnet));
    now = generation();
  }
  checked_generation_ = now;
}

void Firewall::remove() {
  checked_generation_.reset();
  linux::NetlinkBatch batch;
  batch.request(message_type(NFT_MSG_GETTABLE), 0, ipv4_header(), fmt::format("find nftables table '{}'", table_));
  batch.put(NFTA_TABLE_NAME, table_);
  if (socket().query(std::move(batch), [](const nlmsghdr&) {})) {
    run_nft(fmt::format("add table ip {0}\ndelete table ip {0}\n", table_));
  }
}

}  // namespace bulkhead::network
