#include "cli/format_template.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "support/error.h"

namespace bulkhead::cli {
namespace {

using nlohmann::ordered_json;

std::string_view trimmed(std::string_view text) {
  size_t first = text.find_first_not_of(" \t");
  return first == std::string_view::npos ? "" : text.substr(first, text.find_last_not_of(" \t") - first + 1);
}

const ordered_json& field_at(std::string_view path, const ordered_json& value) {
  const ordered_json* current = &value;
  std::string_view rest = path.substr(1);
  while (!rest.empty()) {
    size_t dot = rest.find('.');
    std::string name(rest.substr(0, dot));
    rest = dot == std::string_view::npos ? "" : rest.substr(dot + 1);
    if (!current->is_object() || !current->contains(name)) {
      throw Error(ErrorCode::kInvalidArgument, fmt::format("--format: there is no field '{}'", path));
    }
    current = &(*current)[name];
  }
  return *current;
}

std::string as_json(const ordered_json& value) { return value.dump(-1, ' ', false, ordered_json::error_handler_t::replace); }

// As Go prints values: strings bare, absent ones as <no value>, lists in brackets.
std::string as_text(const ordered_json& value) {
  if (value.is_string()) {
    return value.get<std::string>();
  }
  if (value.is_null()) {
    return "<no value>";
  }
  if (!value.is_structured()) {
    return as_json(value);
  }
  std::string text;
  for (const auto& [key, item] : value.items()) {
    text += text.empty() ? "" : " ";
    text += value.is_object() ? key + ":" + as_text(item) : as_text(item);
  }
  return fmt::format("{}[{}]", value.is_object() ? "map" : "", text);
}

std::string evaluate(std::string_view expression, const ordered_json& value) {
  constexpr std::string_view kJson = "json ";
  bool json = expression.starts_with(kJson);
  std::string_view path = json ? trimmed(expression.substr(kJson.size())) : expression;
  if (!path.starts_with('.') || path.find_first_of(" |()\"'") != std::string_view::npos) {
    throw Error(ErrorCode::kNotSupported,
                fmt::format("--format: '{{{{{}}}}}' is more than {{{{.Field}}}} or {{{{json .Field}}}}; "
                            "use --format json with a JSON tool",
                            expression));
  }
  const ordered_json& field = field_at(path, value);
  return json ? as_json(field) : as_text(field);
}

std::string with_escapes(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    bool escape = text[i] == '\\' && i + 1 < text.size() && (text[i + 1] == 't' || text[i + 1] == 'n');
    out += !escape ? text[i] : text[++i] == 't' ? '\t' : '\n';
  }
  return out;
}

}  // namespace

std::string format_template(std::string_view text, const ordered_json& value) {
  std::string out;
  while (!text.empty()) {
    size_t start = text.find("{{");
    out += with_escapes(text.substr(0, start));
    if (start == std::string_view::npos) {
      break;
    }
    size_t end = text.find("}}", start);
    if (end == std::string_view::npos) {
      throw Error(ErrorCode::kInvalidArgument, "--format: a '{{' is not closed");
    }
    out += evaluate(trimmed(text.substr(start + 2, end - start - 2)), value);
    text.remove_prefix(end + 2);
  }
  return out;
}

std::string format_row(std::string_view format, const ordered_json& row) {
  return format == "json" ? as_json(row) : format_template(format, row);
}

}  // namespace bulkhead::cli
