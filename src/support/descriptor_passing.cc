#include "support/descriptor_passing.h"

#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "support/error.h"

namespace bulkhead {
namespace {

/// A message and the room for its descriptors.
struct Message {
  explicit Message(iovec& bytes, size_t descriptors) {
    if (descriptors > kMostDescriptors) {
      throw Error(ErrorCode::kInternal, "too many descriptors for one message");
    }
    header.msg_iov = &bytes;
    header.msg_iovlen = 1;
    if (descriptors > 0) {
      header.msg_control = control.data();
      header.msg_controllen = CMSG_SPACE(sizeof(int) * descriptors);
    }
  }

  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int) * kMostDescriptors)> control{};
  msghdr header{};
};

std::vector<UniqueFd> take_descriptors(msghdr& message) {
  std::vector<UniqueFd> descriptors;
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr; header = CMSG_NXTHDR(&message, header)) {
    if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS || header->cmsg_len < CMSG_LEN(0)) {
      continue;
    }
    size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int descriptor = -1;
      std::memcpy(&descriptor, CMSG_DATA(header) + i * sizeof(int), sizeof(int));
      descriptors.emplace_back(descriptor);
    }
  }
  return descriptors;
}

}  // namespace

ssize_t send_with_descriptors(int socket, std::string_view bytes, std::span<const int> descriptors, int flags) {
  iovec vector{.iov_base = const_cast<char*>(bytes.data()), .iov_len = bytes.size()};
  Message message(vector, descriptors.size());
  if (!descriptors.empty()) {
    cmsghdr* header = CMSG_FIRSTHDR(&message.header);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(descriptors.size_bytes());
    std::memcpy(CMSG_DATA(header), descriptors.data(), descriptors.size_bytes());
  }
  return ::sendmsg(socket, &message.header, MSG_NOSIGNAL | flags);
}

ReceivedMessage receive_with_descriptors(int socket, std::span<char> room, size_t most) {
  iovec vector{.iov_base = room.data(), .iov_len = room.size()};
  Message message(vector, most);
  ReceivedMessage received;
  do {
    received.size = ::recvmsg(socket, &message.header, MSG_CMSG_CLOEXEC);
  } while (received.size < 0 && errno == EINTR);
  if (received.size >= 0) {
    received.descriptors = take_descriptors(message.header);
    received.is_whole = (message.header.msg_flags & (MSG_TRUNC | MSG_CTRUNC)) == 0;
  }
  return received;
}

}  // namespace bulkhead
