#include "shim_fixture.h"

#include <poll.h>
#include <unistd.h>

#include <fstream>

#include "support/error.h"
#include "support/files.h"
#include "support/random.h"

namespace bulkhead {

using nlohmann::json;

void ShimTest::SetUp() {
  if (::geteuid() != 0) {
    GTEST_SKIP() << "needs root";
  }
  if (!std::filesystem::exists("/bin/busybox")) {
    GTEST_SKIP() << "needs busybox-static";
  }
  id_ = "shim-test-" + random_hex(4);
  folder_ = std::filesystem::temp_directory_path() / id_;
  bundle_ = folder_ / "bundle";
  log_ = folder_ / "container-json.log";
  for (const char* name : {"bin", "proc", "dev", "sys", "tmp"}) {
    make_folders(bundle_ / "rootfs" / name);
  }
  std::filesystem::copy_file("/bin/busybox", bundle_ / "rootfs/bin/busybox");
  for (const char* name :
       {"sh", "true", "cat", "echo", "sleep", "seq", "grep", "stty", "tty", "yes", "head", "dd", "id", "printf"}) {
    std::filesystem::create_symlink("busybox", bundle_ / "rootfs/bin" / name);
  }
  std::ofstream(bundle_ / "rootfs/bin/not-executable") << "text";
}

void ShimTest::TearDown() {
  client_.reset();
  if (!folder_.empty()) {
    if (std::filesystem::exists(bundle_ / "config.json")) {
      task::delete_shim(shim_request());
    }
    EXPECT_FALSE(cgroup_exists());
    std::filesystem::remove_all(folder_);
  }
}

std::string ShimTest::process_json(const std::vector<std::string>& arguments, bool terminal) {
  return json{{"terminal", terminal}, {"user", {{"uid", 0}, {"gid", 0}}}, {"args", arguments}, {"env", {"PATH=/bin"}},
              {"cwd", "/"},           {"noNewPrivileges", true}}
      .dump();
}

void ShimTest::prepare_arguments(const std::vector<std::string>& arguments, bool terminal) {
  json config{{"ociVersion", "1.1.0"},
              {"process", json::parse(process_json(arguments, terminal))},
              {"root", {{"path", "rootfs"}}},
              {"mounts",
               {{{"destination", "/proc"}, {"type", "proc"}, {"source", "proc"}},
                {{"destination", "/dev"}, {"type", "tmpfs"}, {"source", "tmpfs"}, {"options", {"nosuid", "mode=755"}}},
                {{"destination", "/dev/pts"},
                 {"type", "devpts"},
                 {"source", "devpts"},
                 {"options", {"newinstance", "ptmxmode=0666"}}}}},
              {"linux",
               {{"cgroupsPath", "/bulkhead-shim-test/" + id_},
                {"namespaces",
                 {{{"type", "pid"}}, {{"type", "mount"}}, {{"type", "ipc"}}, {{"type", "uts"}}, {{"type", "network"}}}}}}};
  std::ofstream(bundle_ / "config.json") << config.dump();
  socket_ = task::start_shim(shim_request());
  client_.emplace(socket_);
}

void ShimTest::prepare(const std::string& script, bool terminal) { prepare_arguments({"/bin/sh", "-c", script}, terminal); }

task::StartShimRequest ShimTest::shim_request() const {
  return {.binary = SHIM_BINARY,
          .bundle = bundle_,
          .cache_folder = folder_ / "cache",
          .id = id_,
          .name_space = "test",
          .log = folder_ / "shim.log"};
}

void ShimTest::create(bool with_stdin, bool terminal) {
  client_->create(
      {.id = id_,
       .bundle = bundle_,
       .rootfs = {},
       .stdio = {.in = with_stdin ? "attach:" : "", .out = "json-file://" + log_.native(), .err = "", .terminal = terminal}});
}

void ShimTest::run_exec(const std::string& exec_id, const std::string& script, const std::string& err) {
  client_->exec(id_, exec_id, process_json({"/bin/sh", "-c", script}, false), {.in = "attach:", .out = "attach:", .err = err});
}

void ShimTest::remove() {
  client_->remove(id_, "");
  client_->shutdown(id_);
  EXPECT_FALSE(cgroup_exists());
  for (int i = 0; i < 500 && std::filesystem::exists(socket_); ++i) {
    ::usleep(10'000);
  }
  EXPECT_FALSE(std::filesystem::exists(socket_));
  EXPECT_FALSE(std::filesystem::exists(bundle_ / "attach.sock"));
  EXPECT_FALSE(std::filesystem::exists(bundle_ / "sandbox"));
}

UniqueFd ShimTest::attach(const std::string& exec_id, bool in) {
  return task::attach({.bundle = bundle_, .exec_id = exec_id, .in = in, .stdin_at_end = task::StdinAtEnd::kClose});
}

std::vector<json> ShimTest::log_entries() const {
  std::vector<json> entries;
  std::ifstream file(log_);
  for (std::string line; std::getline(file, line);) {
    entries.push_back(json::parse(line));
  }
  return entries;
}

std::string ShimTest::logged(const std::string& stream) const {
  std::string text;
  for (const json& entry : log_entries()) {
    if (entry["stream"] == stream) {
      text += entry["log"].get<std::string>();
    }
  }
  return text;
}

bool ShimTest::cgroup_exists() const {
  for (const char* controller : {"memory", "pids", "cpu", "unified", "."}) {
    if (std::filesystem::exists(std::filesystem::path("/sys/fs/cgroup") / controller / "bulkhead-shim-test" / id_)) {
      return true;
    }
  }
  return false;
}

std::string read_to_end(int fd) {
  std::string bytes;
  for (;;) {
    pollfd wait{.fd = fd, .events = POLLIN, .revents = 0};
    if (::poll(&wait, 1, 10'000) <= 0) {
      ADD_FAILURE() << "silence after " << bytes.size() << " bytes: " << bytes.substr(0, 200);
      return bytes;
    }
    char chunk[65536];
    ssize_t count = ::read(fd, chunk, sizeof(chunk));
    if (count <= 0) {
      return bytes;
    }
    bytes.append(chunk, static_cast<size_t>(count));
  }
}

Frames frames_of(const std::string& bytes) {
  Frames frames;
  size_t at = 0;
  while (at + 8 <= bytes.size()) {
    auto byte = [&](size_t i) { return static_cast<unsigned char>(bytes[at + i]); };
    size_t size = size_t{byte(4)} << 24 | size_t{byte(5)} << 16 | size_t{byte(6)} << 8 | size_t{byte(7)};
    (byte(0) == 2 ? frames.err : frames.out) += bytes.substr(at + 8, size);
    at += 8 + size;
  }
  EXPECT_EQ(at, bytes.size()) << "the last frame is cut";
  return frames;
}

}  // namespace bulkhead
