// The part of docker's `--format` that scripts use: text with {{.Field}}, {{.Field.Inner}} and {{json .Field}} in it. Pure.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace bulkhead::cli {

/// Throws kNotSupported naming the expression where it is anything else, kInvalidArgument where there is no such field.
std::string format_template(std::string_view text, const nlohmann::ordered_json& value);

/// A row as `--format` wants it: "json" gives the whole row as one line of JSON.
std::string format_row(std::string_view format, const nlohmann::ordered_json& row);

}  // namespace bulkhead::cli
