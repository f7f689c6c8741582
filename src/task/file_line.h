// A request about a container's files on its way to the shim: one line of JSON on a connection to <bundle>/attach.sock,
// together with one end of a socket pair for the archive (SCM_RIGHTS, unix(7)); and the shim's one line back once it is done,
// after which it closes. Paths are bytes: they cross as arrays of numbers, as JSON's texts are UTF-8.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "archive/file_request.h"
#include "support/error.h"

namespace bulkhead::task {

inline constexpr size_t kMaxFileLine = 64UL << 10;  // bytes, with the newline

/// With the newline.
std::string to_line(const archive::FileRequest& request);
/// nullopt where the line asks for something else. Throws kInvalidArgument.
std::optional<archive::FileRequest> parse_file_request(std::string_view line);

std::string file_work_done(const archive::PathStat& found);
std::string file_work_failed(const Error& error);
/// Throws the error that the answer carries, or kDataLoss.
archive::PathStat parse_file_answer(std::string_view line);

}  // namespace bulkhead::task
