// A create request as a policy sees it. Pure data; made by one reader for the engine and for `bulkhead policy test` alike.
//
// SECURITY: what means the same is made the same here, so that no rule can be evaded by another way of asking: --privileged
// also adds every capability, shows every device and lifts every filter; capabilities have one spelling; paths have no "..".
// What a path is on the host, HostPaths knows.
#pragma once

#include <cstdint>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "oci/reference.h"
#include "policy/mode.h"

namespace bulkhead::policy {

/// Who asks: what the kernel said of the socket's peer, or what its certificate says. Neither: nobody knows.
struct Caller {
  std::optional<uint32_t> uid;
  std::string tls_name;
  std::string text() const;  // "uid 1000", "TLS name 'x'", "a caller without a known uid"
  friend bool operator==(const Caller&, const Caller&) = default;
};

enum class SeccompAsked { kDefault, kUnconfined, kCustom };

struct PortRange {
  uint16_t first = 0, last = 0;  // 0: any free one
  friend auto operator<=>(const PortRange&, const PortRange&) = default;
};

struct Request {
  std::string image;                       // as the client wrote it
  std::vector<oci::Reference> references;  // that name, or every name of an image that was asked for by its id
  bool digest_pinned = false;
  std::map<std::string, std::string> labels;        // the request's own
  std::map<std::string, std::string> image_labels;  // what whoever made the image says
  std::map<std::string, std::string> annotations;
  Caller caller;

  std::optional<Mode> asked_mode;  // nothing: --isolation=default, or left out
  bool privileged = false;
  std::set<std::string> added_capabilities;  // "NET_ADMIN", "ALL"
  std::set<std::string> host_mounts;         // absolute paths on the host, as asked for and as links lead
  std::set<std::string> devices;             // the same; "node c 10:232" (what is there); "cgroup rule c 1:3 rwm"
  std::set<std::string> host_namespaces;     // "network", "pid", "ipc", "uts", "user", "cgroup": not the container's own
  std::vector<PortRange> published_ports;    // on the host
  std::set<std::string> lifted;              // "seccomp", "apparmor", "system-paths": protections switched off or replaced
  SeccompAsked seccomp = SeccompAsked::kDefault;
  std::optional<bool> no_new_privileges;
  bool read_only_root = false;

  friend bool operator==(const Request&, const Request&);
};

/// Of the body of POST /containers/create. Properties that a policy has no word for are skipped; wrong types throw
/// kInvalidArgument naming the property. `caller`, `image_labels` and what paths are on the host are whoever's who knows them.
Request read_request(const nlohmann::json& create_body);

/// All that --privileged brings, said in full.
void make_privileged(Request& request);

/// "cap_net_admin" -> "NET_ADMIN".
std::string canonical_capability(std::string_view name);
/// "/a/../b//c/" -> "/b/c".
std::string canonical_path(std::string_view path);
/// Whether a canonical path is the other, or lies in it.
bool is_in(const std::string& inner, const std::string& outer);

constexpr std::string_view kNode = "node ";
/// SECURITY: outside of /dev whoever may write there chooses which device a path is, until the container starts: it counts as
/// every device.
void add_device(Request& request, const std::string& path);

/// As it is kept with a container.
nlohmann::json to_json(const Request& request);
Request request_of_json(const nlohmann::json& value);

}  // namespace bulkhead::policy
