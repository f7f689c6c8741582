// The keeper: one process for all VMs of an engine. In the background it boots a template for each kind of VM that was asked
// for, and keeps a few clones of it running, warm, for the next containers.
//
// A child of the engine: it lives as long as its standard input stays open. When that ends, the VMs that wait end with it;
// those that were given away belong to the shims that took them. Without a keeper every VM is booted cold.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "sandbox/vm/configuration.h"

namespace bulkhead::sandbox::vm {

struct KeeperOptions {
  std::filesystem::path socket;  // <cache folder>/vm-keeper.sock: see keeper_client.h
  unsigned warm = 2;             // VMs that wait, of the kind that was asked for last
  // Bytes. VMs of these sizes are prepared before anybody asks.
  std::vector<uint64_t> memory;
  std::filesystem::path blank;  // the disk that containers' disks begin as; "": one like it is made, and is nobody's
  std::string cgroup = "/bulkhead-vm-keeper";  // of its VMs, until they are given away; nobody else's
  std::chrono::milliseconds quiet{300};        // after the last request, before it begins to work
};

/// Of a command line: --socket PATH [--warm N] [--memory BYTES]... [--blank PATH] [--cgroup PATH] [--quiet MILLISECONDS].
/// Throws kInvalidArgument.
KeeperOptions parse_keeper_options(const std::vector<std::string>& arguments);

/// Serves until standard input ends, or SIGTERM; then removes all it made. What main() returns. Throws where it can't begin.
int run_vm_keeper(const Configuration& configuration, const KeeperOptions& options);

}  // namespace bulkhead::sandbox::vm
