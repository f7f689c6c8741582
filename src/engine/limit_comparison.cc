#include "engine/limit_comparison.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "engine/cpu_list.h"
#include "facts/devices.h"
#include "facts/facts.pb.h"
#include "oci/cgroup_v2_weights.h"

namespace bulkhead::engine {
namespace {

std::string limit_text(int64_t number) { return number < 0 ? "unlimited" : std::to_string(number); }

class LimitComparison {
 public:
  LimitComparison(const facts::Wall& wall, const std::string& whose, std::vector<Difference>& found)
      : wall_(wall), whose_(whose), found_(found) {}

  void run(const oci::Resources& asked) {
    number("memory", in_pages(asked.memory_limit));
    number("memory+swap", in_pages(asked.memory_swap));
    if (asked.memory_limit && asked.memory_swap && *asked.memory_swap >= *asked.memory_limit) {
      swap(*asked.memory_swap - *asked.memory_limit);
    }
    number("memory-reservation", in_pages(asked.memory_reservation));
    number("pids", asked.pids_limit);
    quota(asked);
    shares(asked);
    io_weight(asked);
    list("cpus", "processors", asked.cpuset_cpus);
    list("mems", "memory nodes", asked.cpuset_mems);
  }

 private:
  const facts::Limit* limit(std::string_view name) const {
    auto found =
        std::find_if(wall_.limits().begin(), wall_.limits().end(), [&](const auto& each) { return each.name() == name; });
    return found == wall_.limits().end() ? nullptr : &*found;
  }

  void add(const std::string& what, std::string asked, std::string in_force, bool weaker) {
    found_.push_back({.what = whose_ + what, .asked = std::move(asked), .in_force = std::move(in_force), .weaker = weaker});
  }

  /// The kernel rounds bytes down to whole pages.
  static std::optional<int64_t> in_pages(std::optional<int64_t> bytes) {
    constexpr int64_t kPage = 4096;
    return bytes && *bytes > 0 ? std::optional(*bytes / kPage * kPage) : std::nullopt;
  }

  void compare(const facts::Limit& real, int64_t wanted) {
    if (real.number() != wanted) {
      add(real.name() + " limit", limit_text(wanted), fmt::format("{} ({})", limit_text(real.number()), real.file()),
          real.number() < 0 || real.number() > wanted);
    }
  }

  void number(const char* name, std::optional<int64_t> wanted) {
    if (const facts::Limit* real = limit(name); real != nullptr && wanted && *wanted > 0) {
      compare(*real, *wanted);
    }
  }

  void swap(int64_t wanted) {
    if (const facts::Limit* real = limit("swap"); real != nullptr) {
      compare(*real, in_pages(wanted).value_or(0));
    }
  }

  /// Processor time is quota by period.
  void quota(const oci::Resources& asked) {
    constexpr int64_t kDefaultPeriod = 100'000;
    number("cpu-quota", asked.cpu_quota);
    const facts::Limit* real = limit("cpu-period");
    auto wanted = static_cast<int64_t>(asked.cpu_period.value_or(kDefaultPeriod));
    if (real != nullptr && asked.cpu_quota.value_or(0) > 0 && real->number() != wanted) {
      add("cpu-period", std::to_string(wanted), fmt::format("{} ({})", real->number(), real->file()), real->number() < wanted);
    }
  }

  /// Version 1's, which the kernel cuts to its range, or version 2's weight.
  void shares(const oci::Resources& asked) {
    if (!asked.cpu_shares || *asked.cpu_shares == 0) {
      return;
    }
    number("cpu-shares", static_cast<int64_t>(std::clamp(*asked.cpu_shares, oci::kLeastShares, oci::kMostShares)));
    number("cpu-weight", static_cast<int64_t>(oci::cpu_weight(*asked.cpu_shares)));
  }

  void io_weight(const oci::Resources& asked) {
    const facts::Limit* real = limit("io-weight");
    if (real == nullptr || !asked.blkio_weight || *asked.blkio_weight == 0) {
      return;
    }
    uint64_t weight = *asked.blkio_weight;
    bool scaled = real->file().ends_with("/io.weight");
    compare(*real, static_cast<int64_t>(scaled ? oci::io_weight(weight) : weight));
  }

  void list(const char* name, const char* what, const std::string& wanted) {
    const facts::Limit* real = limit(name);
    if (wanted.empty() || real == nullptr || real->text() == wanted) {
      return;
    }
    auto asked = parse_cpu_list(wanted);
    auto in_force = parse_cpu_list(real->text());
    if (!asked || !in_force || !std::includes(asked->begin(), asked->end(), in_force->begin(), in_force->end())) {
      add(what, wanted, real->text(), true);
    }
  }

  const facts::Wall& wall_;
  const std::string& whose_;
  std::vector<Difference>& found_;
};

std::optional<int64_t> number_of(const std::string& text) {
  int64_t number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() ? std::optional(number) : std::nullopt;
}

}  // namespace

void compare_limits(const oci::Resources& asked, const facts::Wall& wall, const std::string& whose,
                    std::vector<Difference>& found) {
  LimitComparison(wall, whose, found).run(asked);
}

bool is_allowed(const std::vector<oci::DeviceRule>& rules, const DeviceAccess& wanted) {
  const auto fits = [](const std::optional<int64_t>& rule, const std::optional<int64_t>& number) {
    return !rule || rule == number;
  };
  return std::any_of(rules.begin(), rules.end(), [&](const oci::DeviceRule& rule) {
    return rule.allow && (rule.type == 'a' || rule.type == wanted.kind) && fits(rule.major, wanted.major) &&
           fits(rule.minor, wanted.minor) && rule.access.find(wanted.access) != std::string::npos;
  });
}

void compare_device_rules(const std::vector<oci::DeviceRule>& asked, const facts::Wall& wall, const std::string& whose,
                          std::vector<Difference>& found) {
  for (const std::string& line : wall.device_rules()) {
    for (const facts::DeviceRule& rule : facts::parse_device_rules(line)) {
      bool all = std::all_of(rule.access.begin(), rule.access.end(), [&](char access) {
        return is_allowed(asked, {rule.kind, number_of(rule.major), number_of(rule.minor), access});
      });
      if (!all) {
        found.push_back({.what = whose + "devices", .asked = "not " + line, .in_force = line});
      }
    }
  }
}

}  // namespace bulkhead::engine
