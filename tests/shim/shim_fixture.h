// A bundle with busybox in it, and the shim around it.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "support/unique_fd.h"
#include "task/client.h"

namespace bulkhead {

class ShimTest : public testing::Test {
 protected:
  void SetUp() override;
  void TearDown() override;

  /// Writes config.json for `sh -c script`, starts the shim, connects.
  void prepare(const std::string& script, bool terminal = false);
  void prepare_arguments(const std::vector<std::string>& arguments, bool terminal = false);
  /// Create with the log and attach.
  void create(bool with_stdin = false, bool terminal = false);
  void start() { client_->start(id_, ""); }
  uint32_t wait(const std::string& exec_id = "") { return client_->wait(id_, exec_id).code; }
  /// Delete and Shutdown, then checks that nothing is left.
  void remove();
  void run_exec(const std::string& exec_id, const std::string& script, const std::string& err = "attach:");

  std::string process_json(const std::vector<std::string>& arguments, bool terminal);
  std::vector<nlohmann::json> log_entries() const;
  std::string logged(const std::string& stream) const;
  bool cgroup_exists() const;
  task::StartShimRequest shim_request() const;
  UniqueFd attach(const std::string& exec_id, bool in = false);

  std::string id_;
  std::filesystem::path folder_, bundle_, log_;
  std::filesystem::path socket_;
  std::optional<task::Client> client_;
};

/// Everything until the peer closes; fails the test after ten seconds of silence.
std::string read_to_end(int fd);
/// Docker's frames taken apart: "stdout" and "stderr" joined.
struct Frames {
  std::string out, err;
};
Frames frames_of(const std::string& bytes);

}  // namespace bulkhead
