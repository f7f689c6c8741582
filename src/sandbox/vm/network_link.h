// A VM's way into a container's network namespace: a tap beside the namespace's own link (a veth of the engine or of CNI), or a
// way to a tap elsewhere, the two tied together by tc, and what the guest must know to be that link: its MAC, addresses and
// routes.
//
// Owned by the sandbox; one thread at a time. Each call works in a short-lived thread inside the namespace.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "support/unique_fd.h"

namespace bulkhead::sandbox::vm {

struct GuestAddress {
  std::string bytes;  // 4 or 16
  uint8_t prefix_length = 0;
};

struct GuestRoute {
  std::string destination;  // empty: the default route
  uint8_t prefix_length = 0;
  std::string gateway;  // empty: on the link
};

struct GuestLink {
  std::string mac_address;
  uint32_t mtu = 1500;
  std::vector<GuestAddress> addresses;
  std::vector<GuestRoute> routes;  // those on the link first: gateways are reached by them
};

class NetworkLink {
 public:
  /// Takes the first link that is not the loopback. kNotFound where the container's namespace isn't there; kConflict where
  /// another VM has that link and doesn't leave it within two seconds: its packets can go to one place only.
  explicit NetworkLink(const std::filesystem::path& network_namespace);
  /// As undo().
  ~NetworkLink();
  NetworkLink(const NetworkLink&) = delete;
  NetworkLink& operator=(const NetworkLink&) = delete;

  /// False where the namespace has only a loopback (--network=none): there is nothing to lead to.
  bool has_link() const { return link_index_ != 0; }
  const GuestLink& guest() const { return guest_; }
  /// A tap of its own, for QEMU.
  UniqueFd make_tap();
  /// Or that of a VM which waited: it stays in the namespace `elsewhere`, as make_idle_tap() makes them, and is reached by a
  /// pair of links. To move it here would be one step less for each packet, but takes the kernel 15 ms and more (rcu_barrier()
  /// in dev_change_net_namespace()).
  void reach_tap(UniqueFd elsewhere);

  /// Removes what one of those made, and nothing else; then the other may be tried. Throws nothing: where the namespace has
  /// gone so has all that was in it. The kernel lets 15 ms and more pass.
  void undo() noexcept;
  /// The same, which nobody waits for but the end of this process. The last that is asked of the object.
  void undo_later() noexcept;

 private:
  struct Made {
    UniqueFd elsewhere;  // the namespace of a tap that is not in the container's
    int tied = 0;        // the container's own link, once it was tied
    int own_tap = 0;     // in the container's namespace

    bool anything() const { return tied != 0 || own_tap != 0 || elsewhere; }
  };
  static void undo(const UniqueFd& inside, const Made& made) noexcept;
  void tie(int to);

  UniqueFd namespace_;
  Made made_;
  int link_index_ = 0;
  GuestLink guest_;
};

}  // namespace bulkhead::sandbox::vm
