#include "policy/asked_items.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "oci/capability_names.h"

namespace bulkhead::policy {
namespace {

enum class Form { kNone, kAny, kOneOf, kOnly };

/// How what a rule names compares with what is asked for.
template <typename Item>
struct Comparison {
  bool (*touches)(const Item& named, const Item& asked);
  bool (*covers)(const Item& named, const Item& asked);
};

template <typename Item, typename Items>
std::function<bool(const Items&)> condition(Form form, std::vector<Item> named, Comparison<Item> comparison) {
  return [form, named = std::move(named), comparison](const Items& asked) {
    auto one = [&](auto compare) {
      return [&, compare](const Item& item) {
        return std::any_of(named.begin(), named.end(), [&](const Item& each) { return compare(each, item); });
      };
    };
    switch (form) {
      case Form::kNone: return asked.empty();
      case Form::kAny: return !asked.empty();
      case Form::kOneOf: return std::any_of(asked.begin(), asked.end(), one(comparison.touches));
      case Form::kOnly: return std::all_of(asked.begin(), asked.end(), one(comparison.covers));
    }
    return false;
  };
}

struct Written {
  Form form;
  std::vector<const YamlNode*> names;
};

Written read_form(const YamlNode& node, const std::string& file, std::string_view what) {
  if (node.kind == YamlNode::Kind::kScalar && (node.text == "none" || node.text == "any")) {
    return {node.text == "none" ? Form::kNone : Form::kAny, {}};
  }
  if (node.kind == YamlNode::Kind::kMap) {
    YamlMap map(node, file, std::string(what));
    const YamlNode* only = map.find("only");
    map.refuse_rest();
    if (only == nullptr) {
      map.fail(node, fmt::format("{} must be none, any, a list, or a mapping with 'only'", what));
    }
    return {Form::kOnly, scalars_of(*only, file, what)};
  }
  return {Form::kOneOf, scalars_of(node, file, what)};
}

/// Both are ALL-aware: asking for all asks for each, and a rule that names ALL means each.
bool capability_touches(const std::string& named, const std::string& asked) {
  return named == asked || named == "ALL" || asked == "ALL";
}
bool capability_covers(const std::string& named, const std::string& asked) { return named == asked || named == "ALL"; }

// SECURITY: a mount of a folder shows what lies in it: a rule about /var/run/docker.sock is about a mount of /var too.
bool path_touches(const std::string& named, const std::string& asked) { return is_in(asked, named) || is_in(named, asked); }
bool is_node(const std::string& asked) { return asked.starts_with(kNode); }
/// What a path is on the host follows from the path.
bool path_covers(const std::string& named, const std::string& asked) { return is_in(asked, named) || is_node(asked); }

/// SECURITY: compared as it is now, too: a rule about /var/run/docker.sock is about /run/docker.sock where /var/run is a link
/// to /run, and a rule about a device is about each node of its number.
bool touches_on_host(const std::string& named, const std::set<std::string>& asked, HostPaths& host) {
  std::string real = host.real(named);
  return std::any_of(asked.begin(), asked.end(), [&](const std::string& item) {
    return is_node(item) ? host.nodes(named).contains(item) : path_touches(real, item);
  });
}

bool word_is(const std::string& named, const std::string& asked) { return named == asked; }

bool ports_touch(const PortRange& named, const PortRange& asked) {
  return named.first <= asked.last && asked.first <= named.last;
}
bool ports_cover(const PortRange& named, const PortRange& asked) {
  return named.first <= asked.first && asked.last <= named.last;
}

std::optional<PortRange> parse_range(const std::string& text) {
  PortRange range;
  const char* end = text.data() + text.size();
  auto part = std::from_chars(text.data(), end, range.first);
  range.last = range.first;
  if (part.ec == std::errc() && part.ptr != end && *part.ptr == '-') {
    part = std::from_chars(part.ptr + 1, end, range.last);
  }
  bool valid = part.ec == std::errc() && part.ptr == end && range.first > 0 && range.first <= range.last;
  return valid ? std::optional(range) : std::nullopt;
}

}  // namespace

std::string capability_of(const YamlNode& node, const std::string& file) {
  std::string name = canonical_capability(node.text);
  const auto& known = oci::all_capabilities();
  if (name != "ALL" && std::find(known.begin(), known.end(), "CAP_" + name) == known.end()) {
    fail_at(file, node, fmt::format("there is no capability '{}', as NET_ADMIN is one, or ALL", node.text));
  }
  return name;
}

AskedTexts read_asked_capabilities(const YamlNode& node, const std::string& file, std::string_view what) {
  Written written = read_form(node, file, what);
  std::vector<std::string> names;
  for (const YamlNode* name : written.names) {
    names.push_back(capability_of(*name, file));
  }
  return condition<std::string, std::set<std::string>>(written.form, std::move(names), {capability_touches, capability_covers});
}

AskedPaths read_asked_paths(const YamlNode& node, const std::string& file, std::string_view what) {
  Written written = read_form(node, file, what);
  std::vector<std::string> paths;
  for (const YamlNode* path : written.names) {
    if (!path->text.starts_with('/') || path->text.find('*') != std::string::npos) {
      fail_at(file, *path, fmt::format("'{}' is no absolute path: name a folder to mean all that lies in it", path->text));
    }
    paths.push_back(canonical_path(path->text));
    if (what == "devices" && !is_in(paths.back(), "/dev") && paths.back() != "/") {
      fail_at(file, *path, fmt::format("'{}' lies outside of /dev, where every device counts as asked for", path->text));
    }
  }
  AskedTexts as_written = condition<std::string, std::set<std::string>>(written.form, paths, {path_touches, path_covers});
  // SECURITY: a rule that permits is about the paths as written: whoever may change a link would widen it.
  return [as_written, paths = std::move(paths), form = written.form](const std::set<std::string>& asked, HostPaths& host) {
    return as_written(asked) ||
           (form == Form::kOneOf && !asked.empty() &&
            std::any_of(paths.begin(), paths.end(), [&](const auto& named) { return touches_on_host(named, asked, host); }));
  };
}

AskedTexts read_asked_words(const YamlNode& node, const std::string& file, std::string_view what,
                            const std::set<std::string>& allowed) {
  Written written = read_form(node, file, what);
  std::vector<std::string> words;
  for (const YamlNode* word : written.names) {
    if (!allowed.contains(word->text)) {
      fail_at(file, *word, fmt::format("'{}' is none of {}", word->text, fmt::join(allowed, ", ")));
    }
    words.push_back(word->text);
  }
  return condition<std::string, std::set<std::string>>(written.form, std::move(words), {word_is, word_is});
}

AskedPorts read_asked_ports(const YamlNode& node, const std::string& file, std::string_view what) {
  Written written = read_form(node, file, what);
  std::vector<PortRange> ranges;
  for (const YamlNode* text : written.names) {
    auto range = parse_range(text->text);
    if (!range) {
      fail_at(file, *text, fmt::format("'{}' is no port, nor a range such as 8000-8010", text->text));
    }
    ranges.push_back(*range);
  }
  return condition<PortRange, std::vector<PortRange>>(written.form, std::move(ranges), {ports_touch, ports_cover});
}

}  // namespace bulkhead::policy
