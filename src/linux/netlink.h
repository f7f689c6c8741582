// netlink(7): several requests in one send, every answer checked.
//
// A `NetlinkSocket` belongs to the network namespace that its creating thread was in, for good: whoever uses it acts there.
// Neither class is thread-safe. Nothing here blocks for longer than the kernel works on the requests.
#pragma once

#include <linux/netlink.h>

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "support/unique_fd.h"

namespace bulkhead::linux {

/// Requests to be sent together. The kernel works on them in order, and goes on after one that failed.
class NetlinkBatch {
 public:
  /// Begins a request. `header` is the family's fixed part (ifinfomsg, ifaddrmsg, ...); `doing` names the object for errors.
  template <typename Header>
  void request(uint16_t type, uint16_t flags, const Header& header, const std::string& doing) {
    begin(type, flags, &header, sizeof(header), doing);
  }
  void put(uint16_t attribute, const void* bytes, size_t size);
  void put(uint16_t attribute, uint32_t value) { put(attribute, &value, sizeof(value)); }
  /// With the terminating NUL.
  void put(uint16_t attribute, const std::string& text) { put(attribute, text.c_str(), text.size() + 1); }
  /// An attribute made of what `body` puts.
  void nest(uint16_t attribute, const std::function<void()>& body);
  /// Appends a fixed part inside a nest (VETH_INFO_PEER begins with an ifinfomsg).
  void append(const void* bytes, size_t size);

 private:
  friend class NetlinkSocket;
  void begin(uint16_t type, uint16_t flags, const void* header, size_t header_size, std::string doing);
  void patch_length();

  std::string bytes_;
  size_t current_ = 0;              // where the request being built begins
  std::vector<size_t> starts_;      // of each request
  std::vector<std::string> doing_;  // for each request
};

enum class Missing { kError, kFine };

class NetlinkSocket {
 public:
  /// `protocol`: NETLINK_ROUTE, NETLINK_NETFILTER.
  explicit NetlinkSocket(int protocol);

  /// Sends all and waits until the kernel has done all; throws for the first request that failed, with the kernel's own words
  /// (NETLINK_EXT_ACK) where it gives any. The others were still tried. kFine: an object that does not exist is no failure.
  void execute(NetlinkBatch batch, Missing missing = Missing::kError);
  /// Sends one request and calls `answer` for each message of the reply (a dump where NLM_F_DUMP is among its flags). False
  /// where the object asked for does not exist.
  bool query(NetlinkBatch batch, const std::function<void(const nlmsghdr&)>& answer);

 private:
  void send(NetlinkBatch& batch);

  UniqueFd socket_;
  uint32_t sequence_ = 0;
};

/// Calls `each(type, bytes)` for the attributes after a message's fixed part of `header_size` bytes. What is malformed is left
/// out.
void for_each_attribute(const nlmsghdr& message, size_t header_size,
                        const std::function<void(uint16_t type, std::string_view bytes)>& each);
/// The same inside a nested attribute.
void for_each_nested(std::string_view nest, const std::function<void(uint16_t type, std::string_view bytes)>& each);

}  // namespace bulkhead::linux
