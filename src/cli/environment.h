// Environment variables and labels as the command line gives them. Throws kInvalidArgument naming the text.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace bulkhead::cli {

/// "NAME=value", or "NAME" (the client's own value; left out where it is not set).
void append_variable(std::vector<std::string>& variables, std::string_view text);
/// The lines of an env file: comments, empty lines and leading blanks are skipped.
void append_variables_of_file(std::vector<std::string>& variables, const std::string& path);
/// Files first, then the options, as docker orders them: the later one wins in the container.
std::vector<std::string> environment(const std::vector<std::string>& files, const std::vector<std::string>& options);

/// "key=value" or "key" (an empty value).
std::pair<std::string, std::string> key_and_value(std::string_view text);
/// The lines of a label file, without comments and empty lines.
std::vector<std::string> lines_of_file(const std::string& path);

}  // namespace bulkhead::cli
