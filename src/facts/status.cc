#include "facts/status.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <string>

#include "facts/facts.pb.h"
#include "linux/process_stat.h"

namespace bulkhead::facts {
namespace {

/// The `index`th word after "NAME:", or "".
std::string_view word_of(std::string_view text, std::string_view name, int index) {
  for (size_t line = 0; line < text.size(); line = text.find('\n', line) + 1) {
    std::string_view rest = text.substr(line, text.find('\n', line) - line);
    if (rest.starts_with(name) && rest.size() > name.size() && rest[name.size()] == ':') {
      rest.remove_prefix(name.size() + 1);
      for (;; --index) {
        size_t begin = rest.find_first_not_of(" \t");
        if (begin == std::string_view::npos) {
          return "";
        }
        rest.remove_prefix(begin);
        size_t end = std::min(rest.find_first_of(" \t"), rest.size());
        if (index == 0) {
          return rest.substr(0, end);
        }
        rest.remove_prefix(end);
      }
    }
    if (text.find('\n', line) == std::string_view::npos) {
      break;
    }
  }
  return "";
}

uint64_t number_of(std::string_view word, int base = 10) {
  uint64_t number = 0;
  std::from_chars(word.data(), word.data() + word.size(), number, base);
  return number;
}

}  // namespace

void read_status(std::string_view text, Process& process) {
  constexpr int kEffective = 1;  // real, effective, saved, file system
  constexpr int kHexadecimal = 16;
  std::string_view state = word_of(text, "State", 0);
  process.set_ended(state == "Z" || state == "X");
  process.set_parent(static_cast<int32_t>(number_of(word_of(text, "PPid", 0))));
  process.set_user(static_cast<uint32_t>(number_of(word_of(text, "Uid", kEffective))));
  process.set_group(static_cast<uint32_t>(number_of(word_of(text, "Gid", kEffective))));
  process.set_effective(number_of(word_of(text, "CapEff", 0), kHexadecimal));
  process.set_permitted(number_of(word_of(text, "CapPrm", 0), kHexadecimal));
  process.set_inheritable(number_of(word_of(text, "CapInh", 0), kHexadecimal));
  process.set_bounding(number_of(word_of(text, "CapBnd", 0), kHexadecimal));
  process.set_ambient(number_of(word_of(text, "CapAmb", 0), kHexadecimal));
  process.set_no_new_privileges(word_of(text, "NoNewPrivs", 0) == "1");
  process.set_seccomp_mode(static_cast<uint32_t>(number_of(word_of(text, "Seccomp", 0))));
  process.set_seccomp_filters(static_cast<uint32_t>(number_of(word_of(text, "Seccomp_filters", 0))));
  process.set_memory(number_of(word_of(text, "VmRSS", 0)) * 1024);
}

uint64_t processor_time_of(std::string_view stat, uint64_t ticks) {
  auto parts = linux::ProcessStat::parse(stat);
  if (!parts || ticks == 0) {
    return 0;
  }
  constexpr size_t kUserTime = 14;
  constexpr size_t kSystemTime = 15;
  return (number_of(parts->field(kUserTime)) + number_of(parts->field(kSystemTime))) * 1000 / ticks;
}

void read_resource_limits(std::string_view text, Process& process) {
  // By number, as the kernel lists them (asm-generic/resource.h), after a line of titles. "%-25s %-20s %-20s".
  static constexpr std::array kNames = {"CPU",     "FSIZE", "DATA",  "STACK",      "CORE",     "RSS",  "NPROC",  "NOFILE",
                                        "MEMLOCK", "AS",    "LOCKS", "SIGPENDING", "MSGQUEUE", "NICE", "RTPRIO", "RTTIME"};
  constexpr size_t kHard = 47;
  for (const char* name : kNames) {
    if (text.empty()) {
      return;
    }
    text.remove_prefix(std::min(text.find('\n'), text.size() - 1) + 1);
    if (text.substr(0, text.find('\n')).size() <= kHard) {
      return;
    }
    std::string_view hard = text.substr(kHard);
    hard = hard.substr(0, hard.find_first_of(" \n"));
    ResourceLimit& found = *process.add_resource_limits();
    found.set_name(std::string("RLIMIT_") + name);
    found.set_hard(hard == "unlimited" ? UINT64_MAX : number_of(hard));
  }
}

}  // namespace bulkhead::facts
