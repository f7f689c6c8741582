#include "facts/limits.h"

#include <fmt/format.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <optional>
#include <sstream>

#include "facts/facts.pb.h"
#include "support/error.h"
#include "support/files.h"

namespace bulkhead::facts {
namespace {

constexpr size_t kLargestFile = 4096;
constexpr int64_t kUnlimited = -1;

enum class Reading { kNumber, kLowest, kText, kQuotaAndPeriod, kDefault };

struct LimitFile {
  const char* file;
  const char* name;
  Reading reading;  // kLowest: groups above it count too; kDefault: "default 100", then devices' own
};

constexpr std::array kFiles = {
    LimitFile{"memory.limit_in_bytes", "memory", Reading::kLowest},
    LimitFile{"memory.memsw.limit_in_bytes", "memory+swap", Reading::kLowest},
    LimitFile{"memory.max", "memory", Reading::kLowest},
    LimitFile{"memory.swap.max", "swap", Reading::kLowest},
    LimitFile{"memory.soft_limit_in_bytes", "memory-reservation", Reading::kNumber},
    LimitFile{"memory.low", "memory-reservation", Reading::kNumber},
    LimitFile{"pids.max", "pids", Reading::kLowest},
    LimitFile{"cpu.cfs_quota_us", "cpu-quota", Reading::kNumber},
    LimitFile{"cpu.cfs_period_us", "cpu-period", Reading::kNumber},
    LimitFile{"cpu.max", "cpu-quota", Reading::kQuotaAndPeriod},
    LimitFile{"cpu.shares", "cpu-shares", Reading::kNumber},
    LimitFile{"cpu.weight", "cpu-weight", Reading::kNumber},
    LimitFile{"blkio.weight", "io-weight", Reading::kNumber},
    LimitFile{"blkio.bfq.weight", "io-weight", Reading::kNumber},
    LimitFile{"io.weight", "io-weight", Reading::kDefault},
    LimitFile{"io.bfq.weight", "io-weight", Reading::kDefault},
    LimitFile{"cpuset.effective_cpus", "cpus", Reading::kText},
    LimitFile{"cpuset.cpus.effective", "cpus", Reading::kText},
    LimitFile{"cpuset.effective_mems", "mems", Reading::kText},
    LimitFile{"cpuset.mems.effective", "mems", Reading::kText},
};

std::optional<std::string> read_line(const std::filesystem::path& path) {
  if (::access(path.c_str(), R_OK) != 0) {
    return std::nullopt;
  }
  std::string text = read_file(path, kLargestFile);
  text = text.substr(0, text.find('\n'));
  // v2 leaves a cpuset empty that is not narrower than its parent's: the effective one tells.
  return text.empty() ? std::nullopt : std::optional(text);
}

void add(Wall& wall, const char* name, int64_t number, const std::string& text, const std::filesystem::path& file) {
  Limit& limit = *wall.add_limits();
  limit.set_name(name);
  limit.set_number(number);
  limit.set_text(text);
  limit.set_file(file.native());
}

bool is_less(int64_t one, int64_t other) { return one != kUnlimited && (other == kUnlimited || one < other); }

void add_lowest(Wall& wall, const LimitFile& wanted, const LimitFolder& place, std::string text) {
  std::filesystem::path where = place.folder / wanted.file;
  int64_t lowest = parse_limit(text);
  for (std::filesystem::path above = place.folder; above != place.top && above.has_relative_path();) {
    above = above.parent_path();
    std::optional<std::string> other = read_line(above / wanted.file);
    if (other && is_less(parse_limit(*other), lowest)) {
      lowest = parse_limit(*other);
      text = *other;
      where = above / wanted.file;
    }
  }
  add(wall, wanted.name, lowest, text, where);
}

void read_one(Wall& wall, const LimitFile& wanted, const LimitFolder& place) {
  std::filesystem::path file = place.folder / wanted.file;
  std::optional<std::string> text = read_line(file);
  if (!text) {
    return;
  }
  switch (wanted.reading) {
    case Reading::kNumber: add(wall, wanted.name, parse_limit(*text), *text, file); break;
    case Reading::kLowest: add_lowest(wall, wanted, place, *text); break;
    case Reading::kText: add(wall, wanted.name, 0, *text, file); break;
    case Reading::kDefault: add(wall, wanted.name, parse_limit(text->substr(text->rfind(' ') + 1)), *text, file); break;
    case Reading::kQuotaAndPeriod:
      size_t blank = text->find(' ');
      add(wall, "cpu-quota", parse_limit(text->substr(0, blank)), *text, file);
      add(wall, "cpu-period", blank == std::string::npos ? 0 : parse_limit(text->substr(blank + 1)), *text, file);
  }
}

}  // namespace

std::vector<CgroupPlace> parse_cgroup_file(std::string_view text) {
  std::vector<CgroupPlace> places;
  std::istringstream lines{std::string(text)};
  for (std::string line; std::getline(lines, line);) {
    size_t first = line.find(':');
    size_t second = first == std::string::npos ? first : line.find(':', first + 1);
    if (second == std::string::npos) {
      continue;
    }
    CgroupPlace place{.controllers = {}, .path = line.substr(second + 1)};
    std::istringstream names(line.substr(first + 1, second - first - 1));
    for (std::string name; std::getline(names, name, ',');) {
      place.controllers.push_back(name);
    }
    places.push_back(std::move(place));
  }
  return places;
}

int64_t parse_limit(std::string_view text) {
  constexpr int64_t kLargestOfV1 = INT64_MAX - (64 << 10);  // rounded down to a page, of whatever size
  if (text == "max") {
    return kUnlimited;
  }
  int64_t number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) {
    throw Error(ErrorCode::kDataLoss, fmt::format("'{}' is no limit", text));
  }
  return number < 0 || number >= kLargestOfV1 ? kUnlimited : number;
}

void read_limits(const std::vector<LimitFolder>& folders, Wall& wall) {
  for (const LimitFile& wanted : kFiles) {
    for (const LimitFolder& place : folders) {
      read_one(wall, wanted, place);
    }
  }
}

}  // namespace bulkhead::facts
