// A container's log on its way to a client: framed for a container without a terminal, plain for one with.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "engine/engine.h"
#include "engine/log_reader.h"

namespace bulkhead::api {

/// Throws kNotSupported, in Docker's words, where the container's log driver keeps nothing.
void require_readable_log(const engine::Container& container);

struct LogFormat {
  bool tty = false, timestamps = false, details = false;
};
/// Appends one entry as the client gets it.
void append_entry(std::string& out, const engine::LogEntry& entry, const LogFormat& format);

using BytesSink = std::function<void(std::string_view)>;
/// Sends what the log holds now.
void replay_log(const engine::Container& container, const engine::AttachOptions& streams, const BytesSink& sink);
/// Sends every entry that the reader has now; returns whether there was any.
bool drain(engine::LogReader& reader, const LogFormat& format, const BytesSink& sink);

}  // namespace bulkhead::api
