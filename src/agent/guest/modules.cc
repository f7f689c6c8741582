#include "agent/guest/modules.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <sstream>
#include <vector>

#include "agent/protocol/protocol.h"
#include "support/error.h"
#include "support/files.h"

namespace bulkhead::agent {
namespace {

const std::filesystem::path kFolder = std::filesystem::path("/") / kModulesFolder;

bool has_modules() { return ::access(kFolder.c_str(), F_OK) == 0; }

/// The words of each line of one of the archive's lists.
std::vector<std::vector<std::string>> read_list(const char* name) {
  std::vector<std::vector<std::string>> list;
  std::istringstream lines(read_file(kFolder / name, 16UL << 20));
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    list.emplace_back(std::istream_iterator<std::string>(words), std::istream_iterator<std::string>());
    if (list.back().empty()) {
      list.pop_back();
    }
  }
  return list;
}

void load_file(const std::string& name) {
  std::filesystem::path path = kFolder / (name + ".ko");
  if (::access(path.c_str(), F_OK) != 0) {
    return;  // it was loaded before
  }
  UniqueFd file = open_file(path, O_RDONLY);
  if (::syscall(SYS_finit_module, file.get(), "", 0) != 0 && errno != EEXIST) {
    throw system_error(fmt::format("load module '{}'", name));
  }
  ::unlink(path.c_str());
}

}  // namespace

void load_boot_modules() {
  if (!has_modules()) {
    return;
  }
  for (const auto& line : read_list("boot")) {
    load_file(line.front());
  }
}

void load_module(const std::string& name) {
  if (!has_modules()) {
    return;
  }
  for (const auto& line : read_list("index")) {
    if (line.front() == name) {
      std::for_each(line.begin() + 1, line.end(), load_file);
      load_file(name);
    }
  }
}

void keep_modules(const std::string& root) {
  if (!has_modules()) {
    return;
  }
  std::string target = root + kFolder.native();
  if (::mkdir(target.c_str(), 0700) != 0 || ::mount(kFolder.c_str(), target.c_str(), nullptr, MS_BIND, nullptr) != 0 ||
      ::symlink(kAgentProgram, (root + "/" + kModprobe).c_str()) != 0) {
    throw system_error("keep the kernel's modules");
  }
}

void offer_modules() {
  if (!has_modules()) {
    return;
  }
  write_existing("/proc/sys/kernel/modprobe", fmt::format("/{}", kModprobe));
  for (const auto& node : read_list("nodes")) {  // as kmod makes them (kmod-static-nodes.service)
    if (node.size() != 3) {
      continue;
    }
    std::filesystem::path path = std::filesystem::path("/dev") / node[0];
    make_folders(path.parent_path());
    auto number = makedev(static_cast<unsigned>(std::stoul(node[1])), static_cast<unsigned>(std::stoul(node[2])));
    if (::mknod(path.c_str(), S_IFCHR | 0600, number) == 0) {
      ::chmod(path.c_str(), 0666);
    }
  }
}

int run_modprobe(const std::string& request) {
  std::string name = request;
  std::replace(name.begin(), name.end(), '-', '_');
  try {
    load_module(name);
    for (const auto& line : read_list("aliases")) {
      if (line.size() == 2 && line[0] == name) {
        load_module(line[1]);
      }
    }
  } catch (const Error&) {  // the kernel looks whether what it wanted is there now
    return 1;
  }
  return 0;
}

}  // namespace bulkhead::agent
