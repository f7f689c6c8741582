#include "host/host_kind.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <string_view>

#include "support/error.h"
#include "support/files.h"

namespace bulkhead::host {
namespace {

constexpr size_t kMaxFile = 64UL << 10;

std::string read_if_there(const std::filesystem::path& path) {
  try {
    return read_file(path, kMaxFile);
  } catch (const Error&) {
    return "";
  }
}

std::string os_release_value(const std::string& text, std::string_view key) {
  size_t start = 0;
  while (start < text.size()) {
    size_t end = std::min(text.find('\n', start), text.size());
    std::string_view line(text.data() + start, end - start);
    start = end + 1;
    if (!line.starts_with(key) || line.size() == key.size() || line[key.size()] != '=') {
      continue;
    }
    line.remove_prefix(key.size() + 1);
    bool quoted = line.size() >= 2 && (line.front() == '"' || line.front() == '\'') && line.back() == line.front();
    return std::string(quoted ? line.substr(1, line.size() - 2) : line);
  }
  return "";
}

std::optional<int> parse_chassis(const std::string& text) {
  int type = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), type);
  return error == std::errc() && end != text.data() ? std::optional(type) : std::nullopt;
}

/// The administrator's link counts before the distribution's (systemd.special(7), default.target).
std::string read_default_target(const std::filesystem::path& root) {
  for (const char* folder : {"etc/systemd/system", "usr/lib/systemd/system", "lib/systemd/system"}) {
    std::error_code error;
    std::filesystem::path target = std::filesystem::read_symlink(root / folder / "default.target", error);
    if (!error) {
      return target.filename().string();
    }
  }
  return "";
}

enum class Chassis { kUnknown, kServer, kDesk, kMobile };

struct ChassisType {
  int number;
  Chassis chassis;
  std::string_view name;
};

constexpr std::array kChassisTypes = {
    ChassisType{3, Chassis::kDesk, "desktop"},
    ChassisType{4, Chassis::kDesk, "low profile desktop"},
    ChassisType{5, Chassis::kServer, "pizza box"},
    ChassisType{6, Chassis::kDesk, "mini tower"},
    ChassisType{7, Chassis::kDesk, "tower"},
    ChassisType{8, Chassis::kMobile, "portable"},
    ChassisType{9, Chassis::kMobile, "laptop"},
    ChassisType{10, Chassis::kMobile, "notebook"},
    ChassisType{11, Chassis::kMobile, "hand held"},
    ChassisType{13, Chassis::kDesk, "all in one"},
    ChassisType{14, Chassis::kMobile, "sub notebook"},
    ChassisType{15, Chassis::kDesk, "space-saving"},
    ChassisType{16, Chassis::kDesk, "lunch box"},
    ChassisType{17, Chassis::kServer, "main server chassis"},
    ChassisType{23, Chassis::kServer, "rack mount chassis"},
    ChassisType{24, Chassis::kDesk, "sealed-case PC"},
    ChassisType{25, Chassis::kServer, "multi-system chassis"},
    ChassisType{28, Chassis::kServer, "blade"},
    ChassisType{29, Chassis::kServer, "blade enclosure"},
    ChassisType{30, Chassis::kMobile, "tablet"},
    ChassisType{31, Chassis::kMobile, "convertible"},
    ChassisType{32, Chassis::kMobile, "detachable"},
    ChassisType{35, Chassis::kDesk, "mini PC"},
    ChassisType{36, Chassis::kDesk, "stick PC"},
};

ChassisType look_up(std::optional<int> number) {
  const auto* found = std::find_if(kChassisTypes.begin(), kChassisTypes.end(),
                                   [&](const ChassisType& type) { return number && type.number == *number; });
  return found == kChassisTypes.end() ? ChassisType{number.value_or(0), Chassis::kUnknown, "other"} : *found;
}

struct Variant {
  std::string_view id;
  HostKind kind;
};

// VARIANT_ID as distributions set it; what isn't here says nothing.
constexpr std::array kVariants = {
    Variant{"server", HostKind::kServer},           Variant{"cloud", HostKind::kServer},
    Variant{"coreos", HostKind::kServer},           Variant{"iot", HostKind::kServer},
    Variant{"workstation", HostKind::kWorkstation}, Variant{"desktop", HostKind::kWorkstation},
    Variant{"silverblue", HostKind::kWorkstation},  Variant{"kinoite", HostKind::kWorkstation},
    Variant{"kde", HostKind::kWorkstation},         Variant{"sericea", HostKind::kWorkstation},
    Variant{"onyx", HostKind::kWorkstation},
};

}  // namespace

const char* name(HostKind kind) { return kind == HostKind::kServer ? "server" : "workstation"; }

HostEvidence read_evidence(const std::filesystem::path& root) {
  std::string release = read_if_there(root / "etc/os-release");
  if (release.empty()) {
    release = read_if_there(root / "usr/lib/os-release");
  }
  return {.chassis_type = parse_chassis(read_if_there(root / "sys/class/dmi/id/chassis_type")),
          .variant_id = os_release_value(release, "VARIANT_ID"),
          .default_target = read_default_target(root)};
}

HostFinding decide_kind(const HostEvidence& evidence) {
  // What the distribution was made for says most.
  const auto* variant = std::find_if(kVariants.begin(), kVariants.end(),
                                     [&](const Variant& candidate) { return candidate.id == evidence.variant_id; });
  if (variant != kVariants.end()) {
    return {.kind = variant->kind, .because = fmt::format("os-release says VARIANT_ID={}", variant->id)};
  }
  ChassisType chassis = look_up(evidence.chassis_type);
  std::string because = evidence.chassis_type ? fmt::format("chassis type {} ({})", chassis.number, chassis.name)
                                              : std::string("the machine names no chassis type");
  // A graphical target alone says nothing: Debian's default is graphical.target with no desktop installed.
  std::string target = evidence.default_target.empty() ? "no systemd default target" : evidence.default_target;
  switch (chassis.chassis) {
    case Chassis::kMobile: return {.kind = HostKind::kWorkstation, .because = because};
    case Chassis::kServer: return {.kind = HostKind::kServer, .because = because};
    case Chassis::kDesk: {
      // Towers stand under desks and in cellars: what they start decides.
      bool graphical = evidence.default_target == "graphical.target";
      return {.kind = graphical ? HostKind::kWorkstation : HostKind::kServer, .because = because + " with " + target};
    }
    case Chassis::kUnknown: break;
  }
  return {.kind = HostKind::kServer, .because = because + ", and os-release names no workstation variant"};
}

}  // namespace bulkhead::host
