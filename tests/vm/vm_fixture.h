// What the tests of VMs share: disks with busybox on them, a spec, a sandbox with pipes on its streams.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "oci/runtime_spec.h"
#include "sandbox/sandbox.h"
#include "sandbox/vm/configuration.h"
#include "sandbox/vm/vm_isolation.h"
#include "support/unique_fd.h"

namespace bulkhead::sandbox {

/// The shim's ends of a process's streams.
struct Streams {
  UniqueFd in, out, err;
};

struct PipeEnds {
  ProcessIo theirs;
  Streams ours;
};
PipeEnds make_pipes();

std::string output_of(const std::string& command);
/// Everything until the end of the stream; fails the test after a minute.
std::string read_to_end(int fd);
/// Until `text` was seen.
std::string read_until(int fd, const std::string& text);
/// Waits for the end of the process.
ExitStatus await_exit(Sandbox& sandbox, const StartedProcess& started, const std::string& exec_id = "");
std::vector<std::string> shell(const std::string& script);
oci::Process make_process(std::vector<std::string> args);
oci::Spec make_spec(std::vector<std::string> args);

class VmTest : public testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  vm::Configuration configuration() const;
  /// A sandbox of a fresh scratch disk, or of the one that was used before.
  SandboxSpec sandbox_spec(oci::Spec spec, ProcessIo io);
  std::unique_ptr<Sandbox> create(oci::Spec spec, ProcessIo io);
  /// Creates, starts, waits, destroys; the output goes to `output`.
  ExitStatus run(oci::Spec spec, std::string& output);
  void make_scratch();

  std::filesystem::path folder_, image_, scratch_;
  std::string id_;
};

}  // namespace bulkhead::sandbox
