#include "linux/netlink.h"

#include <fmt/format.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "support/error.h"

namespace bulkhead::linux {
namespace {

// Large enough for one part of a dump (the kernel sends at most 32 KiB at once) whatever the page size.
constexpr size_t kReceiveSize = 64UL << 10;

const void* payload(const nlmsghdr& message) { return reinterpret_cast<const char*>(&message) + NLMSG_HDRLEN; }

/// The kernel's NLMSG_OK and NLMSG_NEXT, without their mix of signs.
bool holds_message(const nlmsghdr* message, size_t left) {
  return left >= sizeof(nlmsghdr) && message->nlmsg_len >= sizeof(nlmsghdr) && message->nlmsg_len <= left;
}

const nlmsghdr* next_message(const nlmsghdr* message, size_t& left) {
  size_t size = std::min(size_t{NLMSG_ALIGN(message->nlmsg_len)}, left);
  left -= size;
  return reinterpret_cast<const nlmsghdr*>(reinterpret_cast<const char*>(message) + size);
}

/// The kernel's explanation, where it sent one (NETLINK_EXT_ACK puts attributes behind the nlmsgerr).
std::string explanation(const nlmsghdr& message) {
  std::string text;
  if ((message.nlmsg_flags & NLM_F_ACK_TLVS) == 0) {
    return text;
  }
  const auto* error = static_cast<const nlmsgerr*>(payload(message));
  // Without NETLINK_CAP_ACK the request's payload would stand in between; NLM_F_CAPPED says that it does not.
  size_t skip = sizeof(nlmsgerr);
  if ((message.nlmsg_flags & NLM_F_CAPPED) == 0) {
    skip += error->msg.nlmsg_len - sizeof(nlmsghdr);
  }
  for_each_attribute(message, skip, [&](uint16_t type, std::string_view bytes) {
    if (type == NLMSGERR_ATTR_MSG && !bytes.empty()) {
      text = std::string(bytes.data(), strnlen(bytes.data(), bytes.size()));
    }
  });
  return text;
}

int error_number(const nlmsghdr& message) { return -static_cast<const nlmsgerr*>(payload(message))->error; }

bool is_missing(int error) { return error == ENODEV || error == ENOENT; }

Error request_error(const std::string& doing, const nlmsghdr& message) {
  std::string why = explanation(message);
  return system_error(why.empty() ? doing : fmt::format("{} ({})", doing, why), error_number(message));
}

/// Receives one datagram and calls `each` for its messages.
void receive(int fd, const std::function<void(const nlmsghdr&)>& each) {
  // 64 KiB once per thread, not on the stack of whoever calls.
  thread_local std::vector<char> buffer(kReceiveSize);
  ssize_t size = TEMP_FAILURE_RETRY(recv(fd, buffer.data(), buffer.size(), MSG_TRUNC));
  if (size < 0) {
    throw system_error("receive from netlink");
  }
  if (static_cast<size_t>(size) > buffer.size()) {
    throw Error(ErrorCode::kInternal, fmt::format("netlink sent {} bytes at once", size));
  }
  auto left = static_cast<size_t>(size);
  for (const auto* message = reinterpret_cast<const nlmsghdr*>(buffer.data()); holds_message(message, left);
       message = next_message(message, left)) {
    each(*message);
  }
}

}  // namespace

void NetlinkBatch::begin(uint16_t type, uint16_t flags, const void* header, size_t header_size, std::string doing) {
  bytes_.resize(NLMSG_ALIGN(bytes_.size()));
  current_ = bytes_.size();
  starts_.push_back(current_);
  doing_.push_back(std::move(doing));
  nlmsghdr message{};
  message.nlmsg_type = type;
  message.nlmsg_flags = static_cast<uint16_t>(flags | NLM_F_REQUEST);
  bytes_.append(reinterpret_cast<const char*>(&message), sizeof(message));
  append(header, header_size);
}

void NetlinkBatch::append(const void* bytes, size_t size) {
  bytes_.append(static_cast<const char*>(bytes), size);
  bytes_.resize(NLMSG_ALIGN(bytes_.size()));
  patch_length();
}

void NetlinkBatch::put(uint16_t attribute, const void* bytes, size_t size) {
  nlattr header{.nla_len = static_cast<uint16_t>(sizeof(nlattr) + size), .nla_type = attribute};
  bytes_.append(reinterpret_cast<const char*>(&header), sizeof(header));
  append(bytes, size);
}

void NetlinkBatch::nest(uint16_t attribute, const std::function<void()>& body) {
  size_t start = bytes_.size();
  put(static_cast<uint16_t>(attribute | NLA_F_NESTED), nullptr, 0);
  body();
  auto length = static_cast<uint16_t>(bytes_.size() - start);
  std::memcpy(bytes_.data() + start, &length, sizeof(length));  // nlattr begins with nla_len
}

void NetlinkBatch::patch_length() {
  auto length = static_cast<uint32_t>(bytes_.size() - current_);
  std::memcpy(bytes_.data() + current_, &length, sizeof(length));  // nlmsghdr begins with nlmsg_len
}

NetlinkSocket::NetlinkSocket(int protocol) : socket_(socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, protocol)) {
  if (!socket_) {
    throw system_error("open a netlink socket");
  }
  // Both only make errors better; a kernel without them (before 4.12) answers in errno alone.
  int on = 1;
  (void)setsockopt(socket_.get(), SOL_NETLINK, NETLINK_CAP_ACK, &on, sizeof(on));
  (void)setsockopt(socket_.get(), SOL_NETLINK, NETLINK_EXT_ACK, &on, sizeof(on));
}

void NetlinkSocket::send(NetlinkBatch& batch) {
  for (size_t start : batch.starts_) {
    auto* message = reinterpret_cast<nlmsghdr*>(batch.bytes_.data() + start);
    message->nlmsg_seq = ++sequence_;
  }
  // The kernel is address 0: an unbound netlink socket sends to it and is bound by that.
  if (TEMP_FAILURE_RETRY(::send(socket_.get(), batch.bytes_.data(), batch.bytes_.size(), 0)) < 0) {
    throw system_error("send to netlink");
  }
}

void NetlinkSocket::execute(NetlinkBatch batch, Missing missing) {
  if (batch.starts_.empty()) {
    return;
  }
  // Errors always come back, in order; so one acknowledgement, of the last request, says that all are done.
  reinterpret_cast<nlmsghdr*>(batch.bytes_.data() + batch.starts_.back())->nlmsg_flags |= NLM_F_ACK;
  send(batch);
  uint32_t last = sequence_;
  uint32_t first = last - static_cast<uint32_t>(batch.starts_.size()) + 1;
  std::vector<Error> errors;
  for (bool done = false; !done;) {
    receive(socket_.get(), [&](const nlmsghdr& message) {
      uint32_t index = message.nlmsg_seq - first;
      if (message.nlmsg_type != NLMSG_ERROR || index >= batch.doing_.size()) {
        return;  // of an earlier request that was given up
      }
      int error = error_number(message);
      if (error != 0 && !(missing == Missing::kFine && is_missing(error))) {
        errors.push_back(request_error(batch.doing_[index], message));
      }
      done = done || message.nlmsg_seq == last;
    });
  }
  if (!errors.empty()) {
    throw Error(errors.front());
  }
}

bool NetlinkSocket::query(NetlinkBatch batch, const std::function<void(const nlmsghdr&)>& answer) {
  bool dump = (reinterpret_cast<const nlmsghdr*>(batch.bytes_.data())->nlmsg_flags & NLM_F_DUMP) == NLM_F_DUMP;
  send(batch);
  bool found = true;
  for (bool done = false; !done;) {
    receive(socket_.get(), [&](const nlmsghdr& message) {
      if (message.nlmsg_seq != sequence_ || done) {
        return;
      }
      if (message.nlmsg_type == NLMSG_ERROR) {
        done = true;
        found = !is_missing(error_number(message));
        if (found && error_number(message) != 0) {
          throw request_error(batch.doing_.front(), message);
        }
      } else if (message.nlmsg_type == NLMSG_DONE) {
        done = true;
      } else {
        done = !dump;
        answer(message);
      }
    });
  }
  return found;
}

void for_each_attribute(const nlmsghdr& message, size_t header_size,
                        const std::function<void(uint16_t, std::string_view)>& each) {
  if (message.nlmsg_len < sizeof(nlmsghdr) + NLMSG_ALIGN(header_size)) {
    return;
  }
  const auto* start = static_cast<const char*>(payload(message)) + NLMSG_ALIGN(header_size);
  for_each_nested({start, message.nlmsg_len - sizeof(nlmsghdr) - NLMSG_ALIGN(header_size)}, each);
}

void for_each_nested(std::string_view nest, const std::function<void(uint16_t, std::string_view)>& each) {
  while (nest.size() >= sizeof(nlattr)) {
    nlattr header{};
    std::memcpy(&header, nest.data(), sizeof(header));
    if (header.nla_len < sizeof(nlattr) || header.nla_len > nest.size()) {
      return;
    }
    each(static_cast<uint16_t>(header.nla_type & NLA_TYPE_MASK), nest.substr(sizeof(nlattr), header.nla_len - sizeof(nlattr)));
    nest.remove_prefix(std::min<size_t>(NLA_ALIGN(header.nla_len), nest.size()));
  }
}

}  // namespace bulkhead::linux
