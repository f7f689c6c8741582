#include "facts/open_files.h"

#include <fmt/format.h>

#include <filesystem>
#include <map>
#include <string>

#include "facts/facts.pb.h"

namespace bulkhead::facts {

void add_open_files(pid_t pid, Wall& wall) {
  std::map<std::string, uint32_t> kinds;
  try {
    for (const auto& entry : std::filesystem::directory_iterator(fmt::format("/proc/{}/fd", pid))) {
      std::error_code error;
      std::string target = std::filesystem::read_symlink(entry.path(), error);
      if (!error) {
        // "socket:[1]", "pipe:[2]", "anon_inode:[eventfd]", "anon_inode:kvm-vm", "/memfd:x (deleted)", a path
        std::string kind = target.starts_with("anon_inode:") ? target.substr(11) : target.substr(0, target.find(':'));
        kind = target.starts_with("/memfd:")                   ? "memory file"
               : target.starts_with("/dev/")                   ? target
               : target.find("(deleted)") != std::string::npos ? "deleted file"
               : target.starts_with("/")                       ? "file"
                                                               : kind;
        std::erase_if(kind, [](char c) { return c == '[' || c == ']'; });
        ++kinds[kind];
      }
    }
  } catch (const std::filesystem::filesystem_error& error) {
    Gap& gap = *wall.add_gaps();
    gap.set_what("open files");
    gap.set_why(error.what());
  }
  for (const auto& [kind, count] : kinds) {
    OpenFiles& files = *wall.add_open_files();
    files.set_kind(kind);
    files.set_count(count);
  }
}

}  // namespace bulkhead::facts
