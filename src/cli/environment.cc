#include "cli/environment.h"

#include <fmt/format.h>

#include <cstdlib>

#include "support/error.h"
#include "support/files.h"

namespace bulkhead::cli {

void append_variable(std::vector<std::string>& variables, std::string_view text) {
  size_t equals = text.find('=');
  if (text.empty() || equals == 0) {
    throw Error(ErrorCode::kInvalidArgument, fmt::format("invalid environment variable '{}': write NAME=value", text));
  }
  if (equals != std::string_view::npos) {
    variables.emplace_back(text);
    return;
  }
  std::string name(text);
  if (const char* value = std::getenv(name.c_str())) {
    variables.push_back(name + "=" + value);
  }
}

std::vector<std::string> lines_of_file(const std::string& path) {
  std::string content = read_file(path, 16UL << 20);
  std::string_view rest = content;
  constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";
  if (rest.starts_with(kByteOrderMark)) {
    rest.remove_prefix(kByteOrderMark.size());
  }
  std::vector<std::string> lines;
  while (!rest.empty()) {
    size_t end = rest.find('\n');
    std::string_view line = rest.substr(0, end);
    rest = end == std::string_view::npos ? "" : rest.substr(end + 1);
    if (line.ends_with('\r')) {
      line.remove_suffix(1);
    }
    size_t start = line.find_first_not_of(" \t");
    if (start != std::string_view::npos && line[start] != '#') {
      lines.emplace_back(line.substr(start));
    }
  }
  return lines;
}

void append_variables_of_file(std::vector<std::string>& variables, const std::string& path) {
  for (const std::string& line : lines_of_file(path)) {
    std::string_view name = std::string_view(line).substr(0, line.find('='));
    if (name.find_first_of(" \t") != std::string_view::npos) {
      throw Error(ErrorCode::kInvalidArgument, fmt::format("env file '{}': variable '{}' has a blank in its name", path, name));
    }
    append_variable(variables, line);
  }
}

std::vector<std::string> environment(const std::vector<std::string>& files, const std::vector<std::string>& options) {
  std::vector<std::string> variables;
  for (const std::string& path : files) {
    append_variables_of_file(variables, path);
  }
  for (const std::string& option : options) {
    append_variable(variables, option);
  }
  return variables;
}

std::pair<std::string, std::string> key_and_value(std::string_view text) {
  size_t equals = text.find('=');
  if (text.empty() || equals == 0) {
    throw Error(ErrorCode::kInvalidArgument, fmt::format("invalid '{}': write key=value", text));
  }
  return {std::string(text.substr(0, equals)), std::string(equals == std::string_view::npos ? "" : text.substr(equals + 1))};
}

}  // namespace bulkhead::cli
