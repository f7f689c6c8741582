#include "policy/condition.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <memory>

#include "policy/asked_items.h"
#include "policy/image_pattern.h"
#include "support/error.h"

namespace bulkhead::policy {
namespace {

/// Where a value stands, and what it is the value of.
struct Place {
  const YamlNode& node;
  const std::string& file;
  std::string_view key;
  const IdentityRules& identities;
};

std::vector<Pattern> patterns_of(const Place& place) {
  std::vector<Pattern> patterns;
  for (const YamlNode* text : scalars_of(place.node, place.file, place.key)) {
    patterns.emplace_back(text->text);
  }
  return patterns;
}

Condition image_condition(const Place& place) {
  std::vector<ImagePattern> patterns;
  for (const YamlNode* text : scalars_of(place.node, place.file, place.key)) {
    try {
      patterns.emplace_back(text->text);
    } catch (const Error& error) {
      fail_at(place.file, *text, error.message());
    }
  }
  return [patterns = std::move(patterns)](const Subject& subject) {
    const auto& names = subject.request.references;
    return std::any_of(patterns.begin(), patterns.end(), [&](const ImagePattern& pattern) {
      return pattern.matches_everything() ||
             std::any_of(names.begin(), names.end(), [&](const oci::Reference& name) { return pattern.matches(name); });
    });
  };
}

bool is_registry(const std::string& name) {
  try {
    oci::parse_reference(name + "/image");
    return true;
  } catch (const Error&) {
    return false;
  }
}

Condition registry_condition(const Place& place) {
  std::vector<Pattern> patterns;
  for (const YamlNode* text : scalars_of(place.node, place.file, place.key)) {
    if (text->text.find('/') != std::string::npos) {
      fail_at(place.file, *text, fmt::format("'{}' is no registry: it is a host, with its port", text->text));
    }
    if (!can_match(text->text, is_registry)) {
      fail_at(place.file, *text, fmt::format("'{}' can match no registry: it is a host, with its port", text->text));
    }
    patterns.emplace_back(canonical_registry(text->text));
  }
  return [patterns = std::move(patterns)](const Subject& subject) {
    const auto& names = subject.request.references;
    return std::any_of(names.begin(), names.end(),
                       [&](const oci::Reference& name) { return any_matches(patterns, canonical_registry(name.domain)); });
  };
}

using Texts = std::map<std::string, std::string>;

/// `{key: pattern}`, each of which has to be there.
Condition map_condition(const Place& place, const Texts Request::*member) {
  if (place.node.kind != YamlNode::Kind::kMap || place.node.entries.empty()) {
    fail_at(place.file, place.node, fmt::format("{} must be a mapping of keys to patterns", place.key));
  }
  std::vector<std::pair<std::string, std::vector<Pattern>>> wanted;
  for (const YamlEntry& entry : place.node.entries) {
    wanted.emplace_back(scalar_of(entry.key, place.file, place.key),
                        patterns_of({entry.value, place.file, place.key, place.identities}));
  }
  return [wanted = std::move(wanted), member](const Subject& subject) {
    const Texts& texts = subject.request.*member;
    return std::all_of(wanted.begin(), wanted.end(), [&](const auto& each) {
      auto found = texts.find(each.first);
      return found != texts.end() && any_matches(each.second, found->second);
    });
  };
}

/// A tenant or an environment: "any" is every name, "none" that there is none.
Condition name_condition(const Place& place, std::string Identity::*member, const NameSource& source) {
  bool any = false;
  bool none = false;
  std::vector<Pattern> patterns;
  for (const YamlNode* text : scalars_of(place.node, place.file, place.key)) {
    any = any || text->text == "any";
    none = none || text->text == "none";
    if (text->text == "any" || text->text == "none") {
      continue;
    }
    if (!can_match(text->text, is_valid_name)) {
      fail_at(place.file, *text, fmt::format("'{}' can match no name: one has letters, digits, '.', '_' and '-'", text->text));
    }
    patterns.emplace_back(text->text);
    const auto& names = source.allowed;
    if (!names.empty() &&
        std::none_of(names.begin(), names.end(), [&](const auto& name) { return patterns.back().matches(name); })) {
      fail_at(place.file, *text, fmt::format("'{}' is none of the {}s {}", text->text, place.key, fmt::join(names, ", ")));
    }
  }
  return [any, none, patterns = std::move(patterns), member](const Subject& subject) {
    const std::string& name = subject.identity.*member;
    return name.empty() ? none : any || any_matches(patterns, name);
  };
}

Condition uid_condition(const Place& place) {
  std::vector<std::pair<uint32_t, uint32_t>> ranges;
  for (const YamlNode* text : scalars_of(place.node, place.file, place.key)) {
    std::pair<uint32_t, uint32_t> range;
    const char* end = text->text.data() + text->text.size();
    auto part = std::from_chars(text->text.data(), end, range.first);
    range.second = range.first;
    if (part.ec == std::errc() && part.ptr != end && *part.ptr == '-') {
      part = std::from_chars(part.ptr + 1, end, range.second);
    }
    if (part.ec != std::errc() || part.ptr != end || range.second < range.first) {
      fail_at(place.file, *text, fmt::format("'{}' is no user id, nor a range such as 1000-1999", text->text));
    }
    ranges.push_back(range);
  }
  return [ranges = std::move(ranges)](const Subject& subject) {
    const auto& uid = subject.request.caller.uid;
    return uid && std::any_of(ranges.begin(), ranges.end(),
                              [&](const auto& range) { return range.first <= *uid && *uid <= range.second; });
  };
}

Condition tls_condition(const Place& place) {
  return [patterns = patterns_of(place)](const Subject& subject) {
    const std::string& caller = subject.request.caller.tls_name;
    return !caller.empty() && any_matches(patterns, caller);
  };
}

Condition mode_condition(const Place& place) {
  std::vector<std::optional<Mode>> modes;
  for (const YamlNode* text : scalars_of(place.node, place.file, place.key)) {
    auto mode = mode_of(text->text);
    if (!mode && text->text != "default") {
      fail_at(place.file, *text, fmt::format("'{}' is no isolation: it is process, hyperv or default", text->text));
    }
    modes.push_back(mode);
  }
  return [modes = std::move(modes)](const Subject& subject) {
    return std::find(modes.begin(), modes.end(), subject.request.asked_mode) != modes.end();
  };
}

Condition flag_condition(const Place& place, bool Request::*member) {
  return [wanted = flag_of(place.node, place.file, place.key), member](const Subject& subject) {
    return subject.request.*member == wanted;
  };
}

Condition items_condition(AskedTexts asked, std::set<std::string> Request::*member) {
  return [asked = std::move(asked), member](const Subject& subject) { return asked(subject.request.*member); };
}

Condition paths_condition(AskedPaths asked, std::set<std::string> Request::*member) {
  return [asked = std::move(asked), member](const Subject& subject) { return asked(subject.request.*member, subject.host); };
}

struct Key {
  std::string_view name;
  Condition (*read)(const Place& place);
};

constexpr std::array kKeys = {
    Key{"image", image_condition},
    Key{"registry", registry_condition},
    Key{"digest-pinned", [](const Place& place) { return flag_condition(place, &Request::digest_pinned); }},
    Key{"labels", [](const Place& place) { return map_condition(place, &Request::labels); }},
    Key{"image-labels", [](const Place& place) { return map_condition(place, &Request::image_labels); }},
    Key{"annotations", [](const Place& place) { return map_condition(place, &Request::annotations); }},
    Key{"tenant", [](const Place& place) { return name_condition(place, &Identity::tenant, place.identities.tenants); }},
    Key{"environment",
        [](const Place& place) { return name_condition(place, &Identity::environment, place.identities.environments); }},
    Key{"uid", uid_condition},
    Key{"tls", tls_condition},
    Key{"isolation", mode_condition},
    Key{"privileged", [](const Place& place) { return flag_condition(place, &Request::privileged); }},
    Key{"added-capabilities",
        [](const Place& place) {
          return items_condition(read_asked_capabilities(place.node, place.file, place.key), &Request::added_capabilities);
        }},
    Key{"host-mounts",
        [](const Place& place) {
          return paths_condition(read_asked_paths(place.node, place.file, place.key), &Request::host_mounts);
        }},
    Key{"devices",
        [](const Place& place) {
          return paths_condition(read_asked_paths(place.node, place.file, place.key), &Request::devices);
        }},
    Key{"host-namespaces",
        [](const Place& place) {
          return items_condition(
              read_asked_words(place.node, place.file, place.key, {"cgroup", "ipc", "network", "pid", "user", "uts"}),
              &Request::host_namespaces);
        }},
    Key{"lifted",
        [](const Place& place) {
          return items_condition(read_asked_words(place.node, place.file, place.key, {"apparmor", "seccomp", "system-paths"}),
                                 &Request::lifted);
        }},
    Key{"published-ports",
        [](const Place& place) -> Condition {
          return [asked = read_asked_ports(place.node, place.file, place.key)](const Subject& subject) {
            return asked(subject.request.published_ports);
          };
        }},
};

}  // namespace

std::vector<Condition> read_conditions(const YamlNode& match, const std::string& file, const IdentityRules& identities) {
  if (match.kind == YamlNode::Kind::kScalar && match.text == "any") {
    return {};
  }
  YamlMap map(match, file, "match");
  std::vector<Condition> conditions;
  for (const Key& key : kKeys) {
    if (const YamlNode* value = map.find(key.name); value != nullptr) {
      conditions.push_back(key.read({*value, file, key.name, identities}));
    }
  }
  map.refuse_rest();
  if (conditions.empty()) {
    map.fail(match, "match says nothing: to mean every container, write 'match: any'");
  }
  return conditions;
}

bool all_hold(const std::vector<Condition>& conditions, const Subject& subject) {
  return std::all_of(conditions.begin(), conditions.end(), [&](const Condition& condition) { return condition(subject); });
}

}  // namespace bulkhead::policy
