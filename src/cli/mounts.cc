#include "cli/mounts.h"

#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <vector>

#include "cli/quantities.h"
#include "support/error.h"

namespace bulkhead::cli {
namespace {

using nlohmann::json;

[[noreturn]] void throw_bad(std::string_view option, std::string_view text, std::string_view why) {
  throw Error(ErrorCode::kInvalidArgument, fmt::format("invalid argument '{}' for {}: {}", text, option, why));
}

// One line of CSV (RFC 4180): fields may be quoted, a quote inside is doubled.
std::vector<std::string> csv_fields(std::string_view text) {
  std::vector<std::string> fields(1);
  bool quoted = false;
  for (size_t i = 0; i < text.size(); ++i) {
    if (quoted && text[i] == '"' && i + 1 < text.size() && text[i + 1] == '"') {
      fields.back() += '"';
      ++i;
    } else if (text[i] == '"' && (quoted || fields.back().empty())) {
      quoted = !quoted;
    } else if (text[i] == ',' && !quoted) {
      fields.emplace_back();
    } else {
      fields.back() += text[i];
    }
  }
  if (quoted) {
    throw_bad("--mount", text, "a quote is not closed");
  }
  return fields;
}

bool parse_bool(std::string_view text, std::string_view key, std::string_view value) {
  if (value.empty() || value == "true" || value == "1") {
    return true;
  }
  if (value == "false" || value == "0") {
    return false;
  }
  throw_bad("--mount", text, fmt::format("'{}' wants true or false", key));
}

uint32_t parse_mode(std::string_view text, const std::string& value) {
  try {
    size_t used = 0;
    unsigned long mode = std::stoul(value, &used, 8);
    if (used == value.size() && mode <= 07777) {
      return static_cast<uint32_t>(mode);
    }
  } catch (const std::logic_error&) {  // no number: the same message
  }
  throw_bad("--mount", text, fmt::format("tmpfs-mode wants an octal mode, not '{}'", value));
}

void set_field(json& mount, std::string_view text, const std::string& key, const std::string& value) {
  if (key == "type") {
    mount["Type"] = value;
  } else if (key == "source" || key == "src") {
    mount["Source"] = value;
  } else if (key == "target" || key == "dst" || key == "destination") {
    mount["Target"] = value;
  } else if (key == "readonly" || key == "ro") {
    mount["ReadOnly"] = parse_bool(text, key, value);
  } else if (key == "consistency") {
    mount["Consistency"] = value;
  } else if (key == "bind-propagation") {
    mount["BindOptions"]["Propagation"] = value;
  } else if (key == "bind-nonrecursive") {
    mount["BindOptions"]["NonRecursive"] = parse_bool(text, key, value);
  } else if (key == "bind-create-src") {
    mount["BindOptions"]["CreateMountpoint"] = parse_bool(text, key, value);
  } else if (key == "tmpfs-size") {
    mount["TmpfsOptions"]["SizeBytes"] = parse_size(value);
  } else if (key == "tmpfs-mode") {
    mount["TmpfsOptions"]["Mode"] = parse_mode(text, value);
  } else {
    throw_bad("--mount", text, fmt::format("unknown field '{}'", key));
  }
}

bool are_permissions(std::string_view text) {
  return !text.empty() && text.size() <= 3 && text.find_first_not_of("rwm") == std::string_view::npos;
}

}  // namespace

json parse_mount(std::string_view text) {
  json mount = {{"Type", "volume"}};
  for (const std::string& field : csv_fields(text)) {
    size_t equals = field.find('=');
    std::string key = field.substr(0, equals);
    std::string value = equals == std::string::npos ? "" : field.substr(equals + 1);
    bool may_stand_alone = key == "readonly" || key == "ro" || key == "bind-nonrecursive" || key == "bind-create-src";
    if (equals == std::string::npos && !may_stand_alone) {
      throw_bad("--mount", text, fmt::format("'{}' must be key=value", field));
    }
    set_field(mount, text, key, value);
  }
  if (!mount.contains("Target")) {
    throw_bad("--mount", text, "the target is missing");
  }
  std::string type = mount["Type"];
  if (type != "bind" && mount.contains("BindOptions")) {
    throw_bad("--mount", text, fmt::format("bind options don't go with type '{}'", type));
  }
  if (type != "tmpfs" && mount.contains("TmpfsOptions")) {
    throw_bad("--mount", text, fmt::format("tmpfs options don't go with type '{}'", type));
  }
  if (type == "bind" && mount.contains("Source")) {
    mount["Source"] = std::filesystem::absolute(std::string(mount["Source"])).lexically_normal().string();
  }
  return mount;
}

std::string absolute_bind(std::string_view text) {
  size_t colon = text.find(':');
  std::string_view source = text.substr(0, colon);
  if (!source.starts_with('.') || colon == std::string_view::npos) {
    return std::string(text);
  }
  std::string absolute = std::filesystem::absolute(source).lexically_normal().string();
  if (absolute.size() > 1 && absolute.ends_with('/')) {
    absolute.pop_back();
  }
  return absolute.append(text.substr(colon));
}

json parse_device(std::string_view text) {
  std::vector<std::string> parts(1);
  for (char letter : text) {
    if (letter == ':') {
      parts.emplace_back();
    } else {
      parts.back() += letter;
    }
  }
  if (parts.size() > 3 || parts[0].empty()) {
    throw_bad("--device", text, "write /dev/host[:/dev/container][:rwm]");
  }
  std::string permissions = "rwm";
  if (parts.size() > 1 && are_permissions(parts.back())) {
    permissions = parts.back();
    parts.pop_back();
  } else if (parts.size() == 3) {
    throw_bad("--device", text, "the permissions are made of r, w and m");
  }
  std::string inside = parts.size() > 1 && !parts[1].empty() ? parts[1] : parts[0];
  return {{"PathOnHost", parts[0]}, {"PathInContainer", inside}, {"CgroupPermissions", permissions}};
}

}  // namespace bulkhead::cli
