// Names in archives: cleaned to a path relative to the layer's folder, or refused. Pure.
#pragma once

#include <string>
#include <string_view>
#include <utility>

namespace bulkhead::archive {

/// Without leading "/" and "./", doubled slashes and "." components: "" is the folder itself. Throws kDataLoss for ".." and for
/// what is longer than the kernel takes.
std::string clean_archive_path(std::string_view name);
/// "a/b/c" -> {"a/b", "c"}; "c" -> {"", "c"}.
std::pair<std::string_view, std::string_view> split_path(std::string_view path);
/// For messages: bytes that are no printable ASCII as \xNN, at most 200 characters.
std::string printable(std::string_view bytes);

}  // namespace bulkhead::archive
