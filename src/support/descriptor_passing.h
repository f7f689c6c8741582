// Bytes and descriptors in one message over a unix socket (unix(7), SCM_RIGHTS). Not for the moment between clone and exec.
#pragma once

#include <sys/types.h>

#include <span>
#include <string_view>
#include <vector>

#include "support/unique_fd.h"

namespace bulkhead {

inline constexpr size_t kMostDescriptors = 8;  // in one message

/// As sendmsg(2), with its result and errno; SIGPIPE is never raised. `flags`: beside MSG_NOSIGNAL.
ssize_t send_with_descriptors(int socket, std::string_view bytes, std::span<const int> descriptors, int flags = 0);

struct ReceivedMessage {
  ssize_t size = -1;  // as recvmsg(2) tells it; errno is that call's
  std::vector<UniqueFd> descriptors;
  bool is_whole = true;  // nothing was cut off: neither bytes, of a packet, nor descriptors
};

/// As recvmsg(2), begun again where a signal interrupts it. There is room for `most` descriptors (the kernel may round up by
/// one). SECURITY: all that come are owned by the result: whoever sends more than was asked for leaves none with us.
ReceivedMessage receive_with_descriptors(int socket, std::span<char> room, size_t most);

}  // namespace bulkhead
