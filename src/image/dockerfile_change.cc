#include "image/dockerfile_change.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>
#include <utility>

#include "support/error.h"

namespace bulkhead::image {
namespace {

using nlohmann::json;
using Words = std::vector<std::string>;

[[noreturn]] void invalid(std::string message) { throw Error(ErrorCode::kInvalidArgument, std::move(message)); }

std::string upper(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(),
                 [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 'a' + 'A') : c; });
  return result;
}

std::string_view trim(std::string_view text) {
  constexpr std::string_view kSpace = " \t\r\n";
  size_t start = text.find_first_not_of(kSpace);
  return start == std::string_view::npos ? "" : text.substr(start, text.find_last_not_of(kSpace) - start + 1);
}

/// Splits at spaces outside of quotes; quotes and backslashes are taken away.
Words split_words(std::string_view text) {
  Words words;
  std::string word;
  bool open = false;
  char quote = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '\\' && quote != '\'' && i + 1 < text.size()) {
      word += text[++i];
      open = true;
    } else if (quote != 0) {
      if (c == quote) {
        quote = 0;
      } else {
        word += c;
      }
    } else if (c == '"' || c == '\'') {
      quote = c;
      open = true;
    } else if (c == ' ' || c == '\t') {
      if (open) {
        words.push_back(std::exchange(word, {}));
      }
      open = false;
    } else {
      word += c;
      open = true;
    }
  }
  if (quote != 0) {
    invalid(fmt::format("unexpected end of statement while looking for matching {}-quote", quote == '"' ? "double" : "single"));
  }
  if (open) {
    words.push_back(std::move(word));
  }
  return words;
}

/// The JSON form, where the text is a JSON array of strings.
bool parse_json_words(std::string_view text, Words& words) {
  if (!text.starts_with('[')) {
    return false;
  }
  json value = json::parse(text, nullptr, false);
  if (!value.is_array() || !std::all_of(value.begin(), value.end(), [](const json& item) { return item.is_string(); })) {
    return false;
  }
  words = value.get<Words>();
  return true;
}

Words command(std::string_view text) {
  Words words;
  if (!parse_json_words(text, words)) {
    words = {"/bin/sh", "-c", std::string(text)};
  }
  return words;
}

void need(const char* keyword, std::string_view rest) {
  if (rest.empty()) {
    invalid(fmt::format("{} requires at least one argument", keyword));
  }
}

/// "A=b C=d", or the old form "A b c" of a single pair.
std::vector<std::pair<std::string, std::string>> pairs(const char* keyword, std::string_view rest) {
  need(keyword, rest);
  std::vector<std::pair<std::string, std::string>> result;
  std::string_view first = rest.substr(0, rest.find_first_of(" \t"));
  if (first.find('=') == std::string_view::npos) {
    std::string_view value = trim(rest.substr(first.size()));
    if (value.empty()) {
      invalid(fmt::format("{} must have two arguments", keyword));
    }
    result.emplace_back(first, value);
    return result;
  }
  for (const std::string& word : split_words(rest)) {
    size_t equals = word.find('=');
    if (equals == std::string::npos || equals == 0) {
      invalid(fmt::format("Syntax error - can't find = in \"{}\". Must be of the form: name=value", word));
    }
    result.emplace_back(word.substr(0, equals), word.substr(equals + 1));
  }
  return result;
}

void set_env(std::string_view rest, ProcessDefaults& config) {
  for (const auto& [key, value] : pairs("ENV", rest)) {
    std::string line = key;
    line.append("=").append(value);
    auto found = std::find_if(config.env.begin(), config.env.end(),
                              [&, prefix = key + "="](const std::string& entry) { return entry.starts_with(prefix); });
    if (found != config.env.end()) {
      *found = line;
    } else {
      config.env.push_back(line);
    }
  }
}

int parse_port(std::string_view text, std::string_view whole) {
  int port = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size() || port < 0 || port > 65535) {
    invalid(fmt::format("Invalid containerPort: {}", whole));
  }
  return port;
}

void add_ports(std::string_view rest, ProcessDefaults& config) {
  need("EXPOSE", rest);
  std::set<std::string> ports(config.exposed_ports.begin(), config.exposed_ports.end());
  for (const std::string& word : split_words(rest)) {
    size_t slash = word.find('/');
    std::string protocol = slash == std::string::npos ? "tcp" : word.substr(slash + 1);
    if (protocol != "tcp" && protocol != "udp" && protocol != "sctp") {
      invalid(fmt::format("Invalid proto: {}", protocol));
    }
    std::string_view range = std::string_view(word).substr(0, slash);
    size_t dash = range.find('-');
    int first = parse_port(range.substr(0, dash), word);
    int last = dash == std::string_view::npos ? first : parse_port(range.substr(dash + 1), word);
    if (last < first) {
      invalid(fmt::format("Invalid containerPort: {}", word));
    }
    for (int port = first; port <= last; ++port) {
      ports.insert(fmt::format("{}/{}", port, protocol));
    }
  }
  config.exposed_ports.assign(ports.begin(), ports.end());
}

void add_volumes(std::string_view rest, ProcessDefaults& config) {
  need("VOLUME", rest);
  Words words;
  if (!parse_json_words(rest, words)) {
    words = split_words(rest);
  }
  std::set<std::string> volumes(config.volumes.begin(), config.volumes.end());
  for (const std::string& word : words) {
    if (trim(word).empty()) {
      invalid("VOLUME specified can not be an empty string");
    }
    volumes.insert(word);
  }
  config.volumes.assign(volumes.begin(), volumes.end());
}

void set_working_directory(std::string_view rest, ProcessDefaults& config) {
  need("WORKDIR", rest);
  std::string path(rest);
  if (!path.starts_with('/')) {
    path = (config.working_directory.empty() ? "/" : config.working_directory + "/") + path;
  }
  config.working_directory = std::filesystem::path(path).lexically_normal().native();
  if (config.working_directory.size() > 1 && config.working_directory.ends_with('/')) {
    config.working_directory.pop_back();
  }
}

/// Go's durations: "1m30s", "500ms".
int64_t parse_duration(std::string_view text) {
  struct Unit {
    std::string_view name;
    double nanoseconds;
  };
  constexpr Unit kUnits[] = {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"m", 60e9}, {"h", 3600e9}};
  double total = 0;
  std::string_view rest = text;
  while (!rest.empty()) {
    size_t digits = std::min(rest.find_first_not_of("0123456789."), rest.size());
    size_t letters = std::min(rest.find_first_of("0123456789.", digits), rest.size());
    std::string_view unit = rest.substr(digits, letters - digits);
    const auto* found = std::find_if(std::begin(kUnits), std::end(kUnits), [&](const Unit& item) { return item.name == unit; });
    double value = 0;
    auto [end, error] = std::from_chars(rest.data(), rest.data() + digits, value);
    if (error != std::errc() || end != rest.data() + digits || found == std::end(kUnits)) {
      invalid(fmt::format("time: invalid duration \"{}\"", text));
    }
    total += value * found->nanoseconds;
    rest.remove_prefix(letters);
  }
  if (total < 0 || total > 1e17) {
    invalid(fmt::format("time: invalid duration \"{}\"", text));
  }
  return static_cast<int64_t>(total);
}

void set_healthcheck(std::string_view rest, ProcessDefaults& config) {
  json check = json::object();
  while (rest.starts_with("--")) {
    std::string_view option = rest.substr(2, rest.find_first_of(" \t") - 2);
    rest = trim(rest.substr(option.size() + 2));
    size_t equals = option.find('=');
    std::string_view key = option.substr(0, equals);
    std::string_view value = equals == std::string_view::npos ? "" : option.substr(equals + 1);
    if (key == "interval" || key == "timeout" || key == "start-period") {
      check[key == "interval" ? "Interval" : key == "timeout" ? "Timeout" : "StartPeriod"] = parse_duration(value);
    } else if (key == "retries") {
      check["Retries"] = parse_port(value, value);
    } else {
      invalid(fmt::format("Unknown flag: {}", key));
    }
  }
  std::string_view type = rest.substr(0, rest.find_first_of(" \t"));
  std::string_view arguments = trim(rest.substr(type.size()));
  if (upper(type) == "NONE") {
    check["Test"] = json::array({"NONE"});
  } else if (upper(type) == "CMD" && !arguments.empty()) {
    Words words;
    if (parse_json_words(arguments, words)) {
      words.insert(words.begin(), "CMD");
    } else {
      words = {"CMD-SHELL", std::string(arguments)};
    }
    check["Test"] = words;
  } else {
    invalid(fmt::format("Unknown type \"{}\" in HEALTHCHECK (try CMD)", type));
  }
  config.healthcheck_json = check.dump(-1, ' ', false, json::error_handler_t::replace);
}

}  // namespace

void apply_change(std::string_view instruction, ProcessDefaults& config) {
  std::string_view text = trim(instruction);
  std::string_view word = text.substr(0, text.find_first_of(" \t"));
  std::string_view rest = trim(text.substr(word.size()));
  std::string keyword = upper(word);
  if (keyword == "CMD") {
    config.cmd = command(rest);
  } else if (keyword == "ENTRYPOINT") {
    config.entrypoint = command(rest);
  } else if (keyword == "ENV") {
    set_env(rest, config);
  } else if (keyword == "EXPOSE") {
    add_ports(rest, config);
  } else if (keyword == "LABEL") {
    for (auto& [key, value] : pairs("LABEL", rest)) {
      config.labels[key] = value;
    }
  } else if (keyword == "USER") {
    need("USER", rest);
    config.user = rest;
  } else if (keyword == "VOLUME") {
    add_volumes(rest, config);
  } else if (keyword == "WORKDIR") {
    set_working_directory(rest, config);
  } else if (keyword == "STOPSIGNAL") {
    need("STOPSIGNAL", rest);
    config.stop_signal = rest;
  } else if (keyword == "ONBUILD") {
    need("ONBUILD", rest);
    config.on_build.emplace_back(rest);
  } else if (keyword == "HEALTHCHECK") {
    set_healthcheck(rest, config);
  } else {
    invalid(fmt::format("{} is not a valid change command", keyword));
  }
}

}  // namespace bulkhead::image
