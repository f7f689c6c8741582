// Server or workstation? What a machine is for decides how thick a wall a container gets that asks for none: as on Windows,
// where Server defaults to process isolation and a client to Hyper-V isolation.
//
// SECURITY: nothing here weakens what somebody asked for. Where the machine says nothing of itself (no DMI, a container, a VM
// whose chassis is "Other") it counts as a server.
//
// `decide_kind` is pure; `read_evidence` reads three small files.
#pragma once

#include <filesystem>
#include <optional>
#include <string>

namespace bulkhead::host {

enum class HostKind { kServer, kWorkstation };

/// "server", "workstation".
const char* name(HostKind kind);

struct HostEvidence {
  std::optional<int> chassis_type;  // SMBIOS 3.7, table 17 ("System Enclosure or Chassis Types")
  std::string variant_id;           // of os-release(5)
  std::string default_target;       // systemd's, "graphical.target"
};

struct HostFinding {
  HostKind kind = HostKind::kServer;
  std::string because;  // in words
};

/// What is missing or unreadable is left empty. `root`: where the host's "/" is.
HostEvidence read_evidence(const std::filesystem::path& root = "/");
HostFinding decide_kind(const HostEvidence& evidence);

}  // namespace bulkhead::host
