// What is at a path in a container, as Docker's header X-Docker-Container-Path-Stat says it: base64 of JSON. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "archive/file_request.h"

namespace bulkhead::api {

/// The bits of Go's io/fs.FileMode for an st_mode (inode(7)).
uint32_t go_file_mode(uint32_t mode);
/// RFC 4648, section 4.
std::string encode_base64(std::string_view bytes);
/// Any bytes in names, any numbers.
std::string path_stat_header(const archive::PathStat& found);

}  // namespace bulkhead::api
