// The first line of an attach connection (<bundle>/attach.sock): the client says which streams it wants as one line of JSON,
// the shim answers with one line of JSON; after that the connection carries the streams as said at task::attach.
#pragma once

#include <string>
#include <string_view>

#include "support/error.h"

namespace bulkhead::task {

inline constexpr size_t kMaxAttachLine = 4096;  // bytes, with the newline

struct AttachHeader {
  std::string exec_id;  // "" is the init
  bool in = false, out = true, err = true;
  bool close_stdin_at_end = false;
};

/// With the newline.
std::string to_line(const AttachHeader& header);
/// Throws kInvalidArgument. `line` without or with its newline.
AttachHeader parse_attach_header(std::string_view line);

std::string attach_accepted();
std::string attach_refused(const Error& error);
/// Throws the error that a refusing answer carries, or kDataLoss.
void check_attach_answer(std::string_view line);

}  // namespace bulkhead::task
