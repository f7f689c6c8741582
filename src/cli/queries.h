// Small pieces that several verbs share: parameters, per-name loops, references. Pure but for what they print.
#pragma once

#include <functional>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "http/message.h"

namespace bulkhead::cli {

/// A query of the pairs whose value isn't empty.
http::Query query_of(std::initializer_list<std::pair<std::string_view, std::string_view>> pairs);
/// "1" or "": for `query_of`.
std::string_view when(bool condition);

/// `--filter key=value` options as the API's JSON; "" where there are none. Throws kInvalidArgument.
std::string filters_json(const std::vector<std::string>& filters);

/// Runs `action` for each name, printing errors one a line and going on. 1 where one failed, else 0.
int for_each_name(const std::vector<std::string>& names, std::string_view verb,
                  const std::function<void(const std::string&)>& action);

/// "host:5000/name:tag" -> {"host:5000/name", "tag"}, "name@sha256:x" -> {"name", "sha256:x"}; "" where there is neither.
std::pair<std::string, std::string> split_reference(std::string_view reference);

/// "sha256:0123..." -> "0123" to twelve characters, as tables show ids.
std::string short_id(std::string_view id);

/// "/containers/x/verb" with the name encoded.
std::string container_path(std::string_view name, std::string_view verb);

}  // namespace bulkhead::cli
