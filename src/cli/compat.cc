// `bulkhead compat`: where an image runs, and in which isolation mode.
#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "cli/json_fields.h"
#include "cli/options.h"
#include "cli/queries.h"
#include "cli/table.h"
#include "cli/terminal.h"
#include "cli/verbs.h"
#include "compat/windows_text.h"
#include "support/error.h"

namespace bulkhead::cli {
namespace {

using compat::Answer;
using compat::WindowsLine;
using compat::WindowsVersion;
using nlohmann::json;
using nlohmann::ordered_json;

struct CompatOptions {
  std::string image, host;
  bool as_json = false;
};

std::optional<WindowsVersion> parse_host(const std::string& text) {
  if (text.empty()) {
    return std::nullopt;
  }
  std::optional<WindowsVersion> version = compat::parse_windows_version(text);
  if (!version) {
    throw Error(
        ErrorCode::kInvalidArgument,
        fmt::format("invalid argument '{}' for --host: the build of a Windows host, as 20348 or 10.0.14393.1770", text));
  }
  return version;
}

WindowsVersion version_of(const CompatOptions& options, const std::string& os_version) {
  std::optional<WindowsVersion> version = compat::parse_windows_version(os_version);
  if (!version) {
    throw Error(ErrorCode::kDataLoss, fmt::format("image '{}' is for {}: without its build nobody can tell which hosts run it",
                                                  options.image, compat::describe_windows(os_version)));
  }
  return *version;
}

void print_json(const json& image, const std::vector<WindowsLine>& lines) {
  ordered_json hosts = ordered_json::array();
  for (const WindowsLine& line : lines) {
    hosts.push_back({{"Host", line.host},
                     {"Build", line.build},
                     {"Process", compat::word(line.verdict.process)},
                     {"Hyperv", compat::word(line.verdict.hyperv)},
                     {"Source", line.verdict.source},
                     {"Note", line.verdict.note}});
  }
  ordered_json answer = {{"Id", text_at(image, "Id")},
                         {"Os", text_at(image, "Os")},
                         {"OsVersion", text_at(image, "OsVersion")},
                         {"Architecture", text_at(image, "Architecture")},
                         {"Hosts", std::move(hosts)}};
  fmt::print("{}\n", answer.dump(4, ' ', false, json::error_handler_t::replace));
}

void print_table(const CompatOptions& options, const json& image, const std::vector<WindowsLine>& lines) {
  fmt::print("{} is an image for {}, {}\n\n", options.image, compat::describe_windows(text_at(image, "OsVersion")),
             printable(text_at(image, "Architecture")));
  Table table({"WINDOWS HOST", "BUILD", "PROCESS", "HYPERV", "NOTE"});
  for (const WindowsLine& line : lines) {
    std::string note(line.verdict.note);
    note += (note.empty() ? "" : " ") + std::string(line.verdict.source);
    table.add({line.host, line.build, std::string(compat::word(line.verdict.process)),
               std::string(compat::word(line.verdict.hyperv)), std::move(note)});
  }
  fmt::print("{}\n{}", table.text(output_width()), compat::windows_sources());
}

/// 0 where a host that was asked about runs it in some mode.
int show_windows(const CompatOptions& options, const json& image) {
  std::vector<WindowsLine> lines =
      compat::windows_lines(version_of(options, text_at(image, "OsVersion")), parse_host(options.host));
  if (options.as_json) {
    print_json(image, lines);
  } else {
    print_table(options, image, lines);
  }
  bool runs = std::any_of(lines.begin(), lines.end(), [](const WindowsLine& line) {
    return line.verdict.process != Answer::kRefused || line.verdict.hyperv != Answer::kRefused;
  });
  return runs ? 0 : 1;
}

json find_image(Api& api, const std::string& name) {
  try {
    return api.get(fmt::format("/images/{}/json", escaped(name)));
  } catch (const Error& error) {
    if (error.code() != ErrorCode::kNotFound) {
      throw;
    }
    throw Error(ErrorCode::kNotFound,
                fmt::format("{}; 'bulkhead pull {}' gets it, an image for Windows with --platform windows", error.message(),
                            printable(name)));
  }
}

}  // namespace

int run_compat(Api& api, Words words) {
  CompatOptions compat;
  Options options("compat", "[OPTIONS] IMAGE", "Shows on which hosts an image runs, and in which isolation mode.");
  options.value("--host", compat.host, "Build of one Windows host, as 20348 or 10.0.14393.1770; exit code 1 where it can't");
  options.flag("--json", compat.as_json, "Print JSON");
  if (options.parse(std::move(words)) == Parsed::kHelpShown) {
    return 0;
  }
  options.require_arguments(1, 1);
  compat.image = options.arguments().front();
  parse_host(compat.host);
  json image = find_image(api, compat.image);
  if (text_at(image, "Os") == "windows") {
    return show_windows(compat, image);
  }
  if (!compat.host.empty()) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("--host is for images for Windows: '{}' is for {}", compat.image, printable(text_at(image, "Os"))));
  }
  fmt::print("{} is an image for {}/{}\n", compat.image, printable(text_at(image, "Os")),
             printable(text_at(image, "Architecture")));
  return 0;
}

}  // namespace bulkhead::cli
