#include "image/registry_host.h"

#include <arpa/inet.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <optional>
#include <utility>

#include "support/error.h"
#include "support/files.h"

namespace bulkhead::image {
namespace {

std::string_view without_port(std::string_view host) {
  if (host.starts_with('[')) {
    size_t close = host.find(']');
    return close == std::string_view::npos ? host : host.substr(1, close - 1);
  }
  size_t colon = host.find(':');
  // More than one colon: a bare IPv6 address.
  bool has_port = colon != std::string_view::npos && host.find(':', colon + 1) == std::string_view::npos;
  return has_port ? host.substr(0, colon) : host;
}

struct Address {
  std::array<unsigned char, 16> bytes{};
  size_t size = 0;
};

std::optional<Address> parse_address(std::string_view text) {
  std::string name(text);
  Address address;
  if (::inet_pton(AF_INET, name.c_str(), address.bytes.data()) == 1) {
    address.size = 4;
    return address;
  }
  if (::inet_pton(AF_INET6, name.c_str(), address.bytes.data()) == 1) {
    address.size = 16;
    return address;
  }
  return std::nullopt;
}

bool in_network(const Address& address, std::string_view cidr) {
  size_t slash = cidr.find('/');
  std::optional<Address> network = parse_address(cidr.substr(0, slash));
  size_t bits = 0;
  std::string_view length = cidr.substr(slash + 1);
  std::from_chars(length.data(), length.data() + length.size(), bits);
  if (!network || network->size != address.size || bits > address.size * 8) {
    return false;
  }
  for (size_t bit = 0; bit < bits; ++bit) {
    unsigned mask = 0x80U >> (bit % 8);
    if (((address.bytes.at(bit / 8) ^ network->bytes.at(bit / 8)) & mask) != 0) {
      return false;
    }
  }
  return true;
}

void check_insecure_entry(std::string_view entry) {
  size_t slash = entry.find('/');
  bool fits = !entry.empty() && entry.find("://") == std::string_view::npos &&
              (slash == std::string_view::npos || parse_address(entry.substr(0, slash)));
  if (!fits) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("insecure registry '{}': use a host, host:port or a network like 10.0.0.0/8", entry));
  }
}

}  // namespace

bool is_loopback_host(std::string_view host) {
  std::string_view name = without_port(host);
  if (name == "localhost") {
    return true;
  }
  std::optional<Address> address = parse_address(name);
  if (!address) {
    return false;
  }
  return address->size == 4 ? address->bytes[0] == 127 : in_network(*address, "::1/128");
}

RegistryPolicy::RegistryPolicy(std::vector<std::string> insecure, std::filesystem::path certificates)
    : insecure_(std::move(insecure)), certificates_(std::move(certificates)) {
  for (const std::string& entry : insecure_) {
    check_insecure_entry(entry);
  }
}

bool RegistryPolicy::is_insecure(std::string_view host_port) const {
  if (is_loopback_host(host_port)) {
    return true;
  }
  std::optional<Address> address = parse_address(without_port(host_port));
  return std::any_of(insecure_.begin(), insecure_.end(), [&](const std::string& entry) {
    return entry.find('/') != std::string::npos ? address && in_network(*address, entry) : entry == host_port;
  });
}

RegistryPolicy::Certificates RegistryPolicy::certificates(std::string_view host_port) const {
  Certificates result;
  // SECURITY: host_port comes from a parsed reference or URL: it holds no '/', but "." and ".." must not be folder names here.
  if (host_port.empty() || host_port.front() == '.' || host_port.find('/') != std::string_view::npos) {
    return result;
  }
  std::error_code missing;
  std::filesystem::directory_iterator folder(certificates_ / host_port, missing);
  if (missing) {
    return result;
  }
  for (const auto& entry : folder) {
    const std::filesystem::path& file = entry.path();
    if (file.extension() == ".crt") {
      result.authorities += read_file(file, 1UL << 20) + "\n";
    } else if (file.extension() == ".cert") {
      std::filesystem::path key = file;
      key.replace_extension(".key");
      if (!std::filesystem::exists(key)) {
        throw Error(ErrorCode::kInvalidArgument,
                    fmt::format("missing key {} for client certificate {}", key.filename().native(), file.filename().native()));
      }
      result.client_certificate = file;
      result.client_key = key;
    }
  }
  return result;
}

}  // namespace bulkhead::image
