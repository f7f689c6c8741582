#include "network/addresses.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "support/error.h"

namespace bulkhead::network {
namespace {

/// A decimal number up to `limit` without sign, blanks or leading zeros, which inet_aton(3) would read as octal.
std::optional<uint32_t> parse_number(std::string_view text, uint32_t limit) {
  uint32_t number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size() || number > limit || (text.size() > 1 && text.front() == '0')) {
    return std::nullopt;
  }
  return number;
}

}  // namespace

Ipv4 Subnet::last() const {
  Ipv4 host_bits = prefix_length == 0 ? ~Ipv4{0} : (Ipv4{1} << (32 - prefix_length)) - 1;
  return base | host_bits;
}

std::optional<Ipv4> parse_ipv4(std::string_view text) {
  Ipv4 address = 0;
  for (int part = 0; part < 4; ++part) {
    size_t dot = text.find('.');
    if ((dot == std::string_view::npos) != (part == 3)) {
      return std::nullopt;
    }
    auto number = parse_number(text.substr(0, dot), 255);
    if (!number) {
      return std::nullopt;
    }
    address = address << 8 | *number;
    text.remove_prefix(std::min(dot, text.size() - 1) + 1);
  }
  return address;
}

std::string to_string(Ipv4 address) {
  return fmt::format("{}.{}.{}.{}", address >> 24, address >> 16 & 0xff, address >> 8 & 0xff, address & 0xff);
}

Subnet parse_subnet(std::string_view text) {
  size_t slash = text.find('/');
  auto address = parse_ipv4(text.substr(0, slash));
  auto prefix = slash == std::string_view::npos ? std::nullopt : parse_number(text.substr(slash + 1), 32);
  if (!address || !prefix) {
    throw Error(ErrorCode::kInvalidArgument, fmt::format("'{}' is not an IPv4 subnet such as 172.18.0.0/16", text));
  }
  Subnet subnet{.base = *address, .prefix_length = static_cast<int>(*prefix)};
  if (subnet.prefix_length < 8 || subnet.prefix_length > 30) {
    throw Error(ErrorCode::kInvalidArgument, fmt::format("subnet '{}': the prefix must be from 8 to 30", text));
  }
  Ipv4 host_bits = (Ipv4{1} << (32 - subnet.prefix_length)) - 1;
  if ((subnet.base & host_bits) != 0) {
    subnet.base &= ~host_bits;
    throw Error(ErrorCode::kInvalidArgument, fmt::format("subnet '{}' has host bits set: use '{}'", text, to_string(subnet)));
  }
  return subnet;
}

std::string to_string(const Subnet& subnet) { return fmt::format("{}/{}", to_string(subnet.base), subnet.prefix_length); }

Subnet choose_subnet(const std::vector<Subnet>& used) {
  std::vector<Subnet> candidates;
  for (Ipv4 second = 17; second <= 31; ++second) {
    candidates.push_back({.base = Ipv4{172} << 24 | second << 16, .prefix_length = 16});
  }
  for (Ipv4 third = 0; third < 256; third += 16) {
    candidates.push_back({.base = Ipv4{192} << 24 | Ipv4{168} << 16 | third << 8, .prefix_length = 20});
  }
  for (const Subnet& candidate : candidates) {
    if (std::none_of(used.begin(), used.end(), [&](const Subnet& other) { return candidate.overlaps(other); })) {
      return candidate;
    }
  }
  throw Error(ErrorCode::kResourceExhausted,
              "no private subnet is free for the bridge: this host's routes cover 172.17-31.0.0/16 and 192.168.0.0/16; "
              "choose one with --bridge-subnet");
}

Ipv4 gateway_of(const Subnet& subnet) { return subnet.first() + 1; }

std::optional<Ipv4> next_address(const Subnet& subnet, Ipv4 previous, const std::function<bool(Ipv4)>& is_used) {
  Ipv4 lowest = gateway_of(subnet) + 1;
  Ipv4 highest = subnet.last() - 1;  // the last is the broadcast address
  uint64_t count = uint64_t{highest} - lowest + 1;
  Ipv4 candidate = previous < lowest || previous >= highest ? lowest : previous + 1;
  for (uint64_t tried = 0; tried < count; ++tried) {
    if (!is_used(candidate)) {
      return candidate;
    }
    candidate = candidate == highest ? lowest : candidate + 1;
  }
  return std::nullopt;
}

std::string mac_of(Ipv4 address) {
  return fmt::format("02:42:{:02x}:{:02x}:{:02x}:{:02x}", address >> 24, address >> 16 & 0xff, address >> 8 & 0xff,
                     address & 0xff);
}

}  // namespace bulkhead::network
