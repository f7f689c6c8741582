// A container from /bin/busybox in a temporary folder, for tests: what to run, what it printed, what it left.
#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "oci/runtime_spec.h"
#include "sandbox/process/process_isolation.h"
#include "sandbox/sandbox.h"

namespace bulkhead::test {

struct Result {
  int code = -1;
  bool out_of_memory = false;
  std::string out;  // standard output and error together
};

/// A file of the host as text; "" where there is none.
std::string slurp(const std::filesystem::path& path);

class Container {
 public:
  Container();
  ~Container();
  Container(const Container&) = delete;
  Container& operator=(const Container&) = delete;

  /// Docker's defaults, to be changed before `create`.
  oci::Spec spec;
  std::vector<sandbox::Mount> rootfs_mounts;

  const std::string& id() const { return id_; }
  const std::filesystem::path& folder() const { return folder_; }
  std::filesystem::path root() const { return folder_ / "rootfs"; }
  void command(std::vector<std::string> args) { spec.process.args = std::move(args); }
  void shell(const std::string& script) { command({"sh", "-c", script}); }

  sandbox::Sandbox& create();
  sandbox::Sandbox& wall() { return *wall_; }
  /// Reads what the init prints until it ends, collects it.
  Result finish();
  /// create, start, finish, destroy.
  Result run();
  Result run_shell(const std::string& script);
  /// Runs a process inside and collects it.
  Result exec(const oci::Process& process);
  Result exec_shell(const std::string& script);
  void destroy();

  /// Names of what is left on the host of this container; empty is good.
  std::vector<std::string> leftovers() const;

 private:
  std::string id_;
  std::filesystem::path folder_;
  std::string mounts_before_;
  UniqueFd output_;
  std::unique_ptr<sandbox::Sandbox> wall_;
};

/// Whether this host can limit what `controller` ("memory") counts.
bool host_has(const std::string& controller);

/// Reads to the end (EIO of a closed terminal is an end too).
std::string drain(int fd);

}  // namespace bulkhead::test
