// What a client said about a process's streams (task::Stdio), understood.
#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>

namespace bulkhead::shim {

enum class StreamTarget {
  kNothing,   // /dev/null
  kFifo,      // `path`, made by the client
  kJsonFile,  // a json-file log at `path`, and attach clients
  kAttach,    // attach clients only
};

struct StreamUri {
  StreamTarget target = StreamTarget::kNothing;
  std::filesystem::path path;
  uint64_t max_size = 0;  // bytes; 0: the log never rotates
  unsigned max_file = 1;  // files kept, the current one included
};

/// "", a path or "fifo:///path", "json-file:///path?max-size=N&max-file=M", "attach:". Throws kInvalidArgument for what it
/// can't be, kNotSupported for other schemes (containerd's "binary:" and "file:").
StreamUri parse_stream_uri(std::string_view text);

}  // namespace bulkhead::shim
