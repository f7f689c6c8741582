#include "engine/name_texts.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <sstream>
#include <vector>

#include "support/error.h"

namespace bulkhead::engine {
namespace {

constexpr const char* kHosts =
    "127.0.0.1\tlocalhost\n"
    "::1\tlocalhost ip6-localhost ip6-loopback\n"
    "fe00::\tip6-localnet\n"
    "ff00::\tip6-mcastprefix\n"
    "ff02::1\tip6-allnodes\n"
    "ff02::2\tip6-allrouters\n";

Error invalid(std::string message) { return {ErrorCode::kInvalidArgument, std::move(message)}; }

bool is_address(int family, const std::string& text) {
  std::array<unsigned char, sizeof(in6_addr)> bytes{};
  return inet_pton(family, text.c_str(), bytes.data()) == 1;
}

/// SECURITY: names and servers become lines of files that the host writes: one word each, or a client could add lines.
bool is_word(const std::string& text) {
  return !text.empty() && std::none_of(text.begin(), text.end(), [](unsigned char c) { return c <= ' ' || c == 0x7f; });
}

std::string gateway_for_host(const Container& container) {
  if (container.host_config.network_mode == "host") {
    return "127.0.0.1";
  }
  if (!container.endpoint || container.endpoint->gateway.empty()) {
    throw invalid("unable to derive the IP value for host-gateway: the container has no network");
  }
  return container.endpoint->gateway;
}

/// "name:address"; the address may hold colons, and may stand in brackets.
std::string extra_host_line(const std::string& extra, const Container& container) {
  size_t colon = extra.find(':');
  std::string name = extra.substr(0, colon);
  if (colon == std::string::npos || !is_word(name)) {
    throw invalid(fmt::format("bad format for add-host: \"{}\"", extra));
  }
  std::string address = extra.substr(colon + 1);
  if (address.size() > 2 && address.front() == '[' && address.back() == ']') {
    address = address.substr(1, address.size() - 2);
  }
  if (address == "host-gateway") {
    address = gateway_for_host(container);
  }
  if (!is_address(AF_INET, address) && !is_address(AF_INET6, address)) {
    throw invalid(fmt::format("invalid IP address in add-host: \"{}\"", address));
  }
  return fmt::format("{}\t{}\n", address, name);
}

/// The full name first, then its first part.
std::string own_names(const ContainerConfig& config) {
  std::string full = config.domainname.empty() ? config.hostname : fmt::format("{}.{}", config.hostname, config.domainname);
  size_t dot = full.find('.');
  return dot == std::string::npos ? full : fmt::format("{} {}", full, full.substr(0, dot));
}

struct ResolvConf {
  std::vector<std::string> servers, search, options;
};

std::vector<std::string> words_of(const std::string& line) {
  std::istringstream stream(line);
  std::vector<std::string> words;
  for (std::string word; stream >> word;) {
    words.push_back(word);
  }
  return words;
}

/// resolv.conf(5): of several search (or domain) lines the last counts; options add up.
ResolvConf parse_resolv_conf(const std::string& text) {
  ResolvConf parsed;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    auto words = words_of(line.substr(0, line.find_first_of("#;")));
    if (words.size() < 2) {
      continue;
    }
    if (words[0] == "nameserver") {
      parsed.servers.push_back(words[1]);
    } else if (words[0] == "search" || words[0] == "domain") {
      parsed.search.assign(words.begin() + 1, words.end());
    } else if (words[0] == "options") {
      parsed.options.insert(parsed.options.end(), words.begin() + 1, words.end());
    }
  }
  return parsed;
}

bool is_reachable_from_inside(const std::string& server) { return is_address(AF_INET, server) && !server.starts_with("127."); }

void override_with(ResolvConf& conf, const HostConfig& host_config) {
  for (const std::string& server : host_config.dns) {
    if (!is_address(AF_INET, server) && !is_address(AF_INET6, server)) {
      throw invalid(fmt::format("bad nameserver address: \"{}\"", server));
    }
  }
  for (const auto* list : {&host_config.dns_search, &host_config.dns_options}) {
    for (const std::string& word : *list) {
      if (!is_word(word)) {
        throw invalid(fmt::format("invalid DNS search domain or option: \"{}\"", word));
      }
    }
  }
  if (!host_config.dns.empty()) {
    conf.servers = host_config.dns;
  }
  if (!host_config.dns_search.empty()) {
    conf.search = host_config.dns_search;
  }
  if (!host_config.dns_options.empty()) {
    conf.options = host_config.dns_options;
  }
}

}  // namespace

std::string hosts_text(const Container& container, const std::string& host_file) {
  std::string text = container.host_config.network_mode == "host" ? host_file : kHosts;
  if (!text.empty() && text.back() != '\n') {
    text += '\n';
  }
  for (const std::string& extra : container.host_config.extra_hosts) {
    text += extra_host_line(extra, container);
  }
  if (container.endpoint && !container.endpoint->address.empty()) {
    text += fmt::format("{}\t{}\n", container.endpoint->address, own_names(container.config));
  }
  return text;
}

std::string resolv_conf_text(const HostConfig& host_config, const std::string& host_file) {
  bool on_host_network = host_config.network_mode == "host";
  bool overridden = !host_config.dns.empty() || !host_config.dns_search.empty() || !host_config.dns_options.empty();
  if (on_host_network && !overridden) {
    return host_file;
  }
  ResolvConf conf = parse_resolv_conf(host_file);
  if (!on_host_network) {
    std::erase_if(conf.servers, [](const std::string& server) { return !is_reachable_from_inside(server); });
    if (conf.servers.empty()) {
      conf.servers = {"8.8.8.8", "8.8.4.4"};
    }
  }
  override_with(conf, host_config);
  std::string text;
  for (const std::string& server : conf.servers) {
    text += fmt::format("nameserver {}\n", server);
  }
  if (!conf.search.empty() && conf.search != std::vector<std::string>{"."}) {  // "." takes the search list away
    text += fmt::format("search {}\n", fmt::join(conf.search, " "));
  }
  if (!conf.options.empty()) {
    text += fmt::format("options {}\n", fmt::join(conf.options, " "));
  }
  return text;
}

bool only_systemd_resolved(const std::string& resolv_conf) {
  auto servers = parse_resolv_conf(resolv_conf).servers;
  return servers == std::vector<std::string>{"127.0.0.53"};
}

}  // namespace bulkhead::engine
