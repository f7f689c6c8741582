// `-u name|uid[:group|gid]` and `--group-add`, looked up in the container's own /etc/passwd and /etc/group. Pure.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "engine/spec_builder.h"

namespace bulkhead::engine {

struct FoundUser {
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> additional_gids;  // the primary one first
  std::string home = "/";
};

/// Throws kInvalidArgument in Docker's words where a name isn't there or a number is out of range.
FoundUser find_user(const std::string& user, const std::vector<std::string>& group_add, const RootFileReader& read_file);

}  // namespace bulkhead::engine
