#include "http/listening_sockets.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <grp.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <vector>

#include "support/error.h"
#include "support/files.h"
#include "support/log.h"

namespace bulkhead::http {
namespace {

constexpr int kBacklog = 4096;

UniqueFd new_socket(int family) {
  UniqueFd socket(::socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!socket) {
    throw system_error("create a socket");
  }
  return socket;
}

sockaddr_un unix_address(const std::filesystem::path& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.native().size() >= sizeof(address.sun_path)) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("socket path '{}' is longer than {} bytes (unix(7))", path.native(), sizeof(address.sun_path) - 1));
  }
  std::memcpy(address.sun_path, path.c_str(), path.native().size() + 1);
  return address;
}

void remove_stale_socket(const std::filesystem::path& path, const sockaddr_un& address) {
  struct stat status {};
  if (::lstat(path.c_str(), &status) != 0) {
    return;
  }
  if (!S_ISSOCK(status.st_mode)) {
    throw Error(ErrorCode::kConflict, fmt::format("'{}' is there already and is no socket", path.native()));
  }
  UniqueFd probe = new_socket(AF_UNIX);
  if (::connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0 || errno == EAGAIN) {
    throw Error(ErrorCode::kConflict, fmt::format("another server answers at '{}'", path.native()));
  }
  if (::unlink(path.c_str()) != 0) {
    throw system_error(fmt::format("remove the old socket '{}'", path.native()));
  }
}

void give_to_docker_group(const std::filesystem::path& path) {
  std::vector<char> buffer(16384);
  group entry{};
  group* found = nullptr;
  if (::getgrnam_r("docker", &entry, buffer.data(), buffer.size(), &found) == 0 && found != nullptr &&
      ::chown(path.c_str(), 0, found->gr_gid) != 0) {
    log::warn("'{}' can't be given to the group docker: {}", path.native(), strerror(errno));
  }
}

/// An address, in the form that bind(2) takes.
struct TcpAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;
  sockaddr* get() { return reinterpret_cast<sockaddr*>(&storage); }
};

TcpAddress tcp_address(const std::string& host, uint16_t port) {
  TcpAddress address;
  auto* v4 = reinterpret_cast<sockaddr_in*>(&address.storage);
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&address.storage);
  if (::inet_pton(AF_INET, host.empty() || host == "localhost" ? "127.0.0.1" : host.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    address.size = sizeof(*v4);
  } else if (::inet_pton(AF_INET6, host.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    address.size = sizeof(*v6);
  } else {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("tcp://{}: this is no address to listen at; write one of this host, as in tcp://192.0.2.1:{}, or "
                            "tcp://0.0.0.0:{} for all",
                            host, port, port));
  }
  return address;
}

}  // namespace

UniqueFd bind_unix(const std::filesystem::path& path) {
  sockaddr_un address = unix_address(path);
  if (path.has_parent_path()) {
    make_folders(path.parent_path());
  }
  remove_stale_socket(path, address);
  UniqueFd socket = new_socket(AF_UNIX);
  // SECURITY: no moment at which others could connect: nobody may until the mode and the group are right.
  mode_t previous = ::umask(0177);
  int bound = ::bind(socket.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address));
  int error_number = errno;
  ::umask(previous);
  if (bound != 0) {
    throw system_error(fmt::format("bind '{}'", path.native()), error_number);
  }
  give_to_docker_group(path);
  if (::chmod(path.c_str(), 0660) != 0 || ::listen(socket.get(), kBacklog) != 0) {
    Error error = system_error(fmt::format("listen at '{}'", path.native()));
    ::unlink(path.c_str());
    throw error;
  }
  return socket;
}

BoundTcp bind_tcp(const std::string& host, uint16_t port) {
  TcpAddress address = tcp_address(host, port);
  UniqueFd socket = new_socket(address.storage.ss_family);
  int on = 1;
  ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (::bind(socket.get(), address.get(), address.size) != 0 || ::listen(socket.get(), kBacklog) != 0 ||
      ::getsockname(socket.get(), address.get(), &address.size) != 0) {
    throw system_error(fmt::format("listen at tcp://{}:{}", host, port));
  }
  bool is_v6 = address.storage.ss_family == AF_INET6;
  return {std::move(socket), ntohs(is_v6 ? reinterpret_cast<sockaddr_in6*>(&address.storage)->sin6_port
                                         : reinterpret_cast<sockaddr_in*>(&address.storage)->sin_port)};
}

}  // namespace bulkhead::http
