// `-u name|uid[:group|gid]` and `--group-add`, looked up in the container's own /etc/passwd and /etc/group. Pure.
#pragma once

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace bulkhead::oci {

/// A small file inside the container's root ("/etc/passwd"); nullopt where it isn't there.
using RootFileReader = std::function<std::optional<std::string>(const std::string& path)>;

struct FoundUser {
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> additional_gids;  // the primary one first
  std::string home = "/";
};

/// Throws kInvalidArgument in Docker's words where a name isn't there or a number is out of range.
FoundUser find_user(const std::string& user, const std::vector<std::string>& group_add, const RootFileReader& read_file);

}  // namespace bulkhead::oci
