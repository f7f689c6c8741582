#include "oci/user_lookup.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>
#include <string_view>

#include "support/error.h"

namespace bulkhead::oci {
namespace {

struct PasswdEntry {
  std::string_view name, home;
  std::optional<uint32_t> uid, gid;
};

struct GroupEntry {
  std::string_view name;
  std::optional<uint32_t> gid;
  std::vector<std::string_view> members;
};

std::vector<std::string_view> split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    size_t end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == std::string_view::npos) {
      return parts;
    }
    text.remove_prefix(end + 1);
  }
}

/// Ids up to 2^31 - 1, the range that Docker allows.
std::optional<uint32_t> parse_id(std::string_view text) {
  uint32_t id = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (text.empty() || error != std::errc() || end != text.data() + text.size() ||
      id > static_cast<uint32_t>(std::numeric_limits<int32_t>::max())) {
    return std::nullopt;
  }
  return id;
}

bool looks_like_number(std::string_view text) {
  std::string_view digits = text.starts_with('-') ? text.substr(1) : text;
  return !digits.empty() && digits.find_first_not_of("0123456789") == std::string_view::npos;
}

uint32_t parse_argument(std::string_view text, const std::string& otherwise) {
  if (auto id = parse_id(text)) {
    return *id;
  }
  throw Error(ErrorCode::kInvalidArgument, looks_like_number(text) ? "uids and gids must be in range 0-2147483647" : otherwise);
}

std::vector<PasswdEntry> parse_passwd(std::string_view text) {
  std::vector<PasswdEntry> entries;
  for (std::string_view line : split(text, '\n')) {
    auto fields = split(line, ':');
    if (fields.size() >= 4 && !line.starts_with('#')) {
      entries.push_back({.name = fields[0],
                         .home = fields.size() > 5 ? fields[5] : "",
                         .uid = parse_id(fields[2]),
                         .gid = parse_id(fields[3])});
    }
  }
  return entries;
}

std::vector<GroupEntry> parse_group(std::string_view text) {
  std::vector<GroupEntry> entries;
  for (std::string_view line : split(text, '\n')) {
    auto fields = split(line, ':');
    if (fields.size() >= 3 && !line.starts_with('#')) {
      entries.push_back({.name = fields[0], .gid = parse_id(fields[2])});
      if (fields.size() > 3) {
        entries.back().members = split(fields[3], ',');
      }
    }
  }
  return entries;
}

const GroupEntry* find_group(const std::vector<GroupEntry>& groups, std::string_view wanted) {
  auto number = parse_id(wanted);
  auto found = std::find_if(groups.begin(), groups.end(), [&](const GroupEntry& group) {
    return group.gid && (group.name == wanted || (number && group.gid == number));
  });
  return found == groups.end() ? nullptr : &*found;
}

void add_unique(std::vector<gid_t>& gids, gid_t gid) {
  if (std::find(gids.begin(), gids.end(), gid) == gids.end()) {
    gids.push_back(gid);
  }
}

}  // namespace

FoundUser find_user(const std::string& user, const std::vector<std::string>& group_add, const RootFileReader& read_file) {
  std::string passwd_text = read_file("/etc/passwd").value_or("");
  std::string group_text = read_file("/etc/group").value_or("");
  auto passwd = parse_passwd(passwd_text);
  auto groups = parse_group(group_text);
  size_t colon = user.find(':');
  std::string_view name = std::string_view(user).substr(0, colon);
  std::string_view group = colon == std::string::npos ? std::string_view() : std::string_view(user).substr(colon + 1);

  FoundUser found;
  auto number = name.empty() ? std::optional<uint32_t>(0) : parse_id(name);
  auto entry = std::find_if(passwd.begin(), passwd.end(), [&](const PasswdEntry& candidate) {
    return candidate.uid && ((!name.empty() && candidate.name == name) || (number && candidate.uid == number));
  });
  std::vector<gid_t> supplementary;
  if (entry != passwd.end()) {
    found.uid = *entry->uid;
    found.gid = entry->gid.value_or(0);
    found.home = entry->home.empty() ? "/" : std::string(entry->home);
  } else if (!name.empty()) {
    found.uid = parse_argument(name, fmt::format("unable to find user {}: no matching entries in passwd file", name));
  }
  if (!group.empty()) {
    const GroupEntry* wanted = find_group(groups, group);
    found.gid = wanted != nullptr
                    ? *wanted->gid
                    : parse_argument(group, fmt::format("unable to find group {}: no matching entries in group file", group));
  } else if (entry != passwd.end()) {
    for (const GroupEntry& candidate : groups) {
      if (candidate.gid &&
          std::find(candidate.members.begin(), candidate.members.end(), entry->name) != candidate.members.end()) {
        supplementary.push_back(*candidate.gid);
      }
    }
  }
  // SECURITY: the primary group is among the supplementary ones, so that dropping it later can't get around a negative group
  // permission (CVE-2022-36109).
  add_unique(found.additional_gids, found.gid);
  for (gid_t gid : supplementary) {
    add_unique(found.additional_gids, gid);
  }
  for (const std::string& wanted : group_add) {
    const GroupEntry* match = find_group(groups, wanted);
    add_unique(found.additional_gids,
               match != nullptr ? *match->gid : parse_argument(wanted, fmt::format("Unable to find group {}", wanted)));
  }
  return found;
}

}  // namespace bulkhead::oci
