// `--volume`, `--mount`, `--tmpfs` and `--device` as the Engine API's JSON. Throws kInvalidArgument naming the text.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace bulkhead::cli {

/// "type=bind,source=/a,target=/b,readonly" (fields as in a line of CSV) as an element of HostConfig.Mounts.
nlohmann::json parse_mount(std::string_view text);
/// "source:target[:options]" with a source that begins with a dot made absolute, as HostConfig.Binds wants it.
std::string absolute_bind(std::string_view text);
/// "/dev/x[:/dev/y][:rwm]" as an element of HostConfig.Devices.
nlohmann::json parse_device(std::string_view text);

}  // namespace bulkhead::cli
