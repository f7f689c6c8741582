#include "api/log_stream.h"

#include "http/message.h"
#include "support/error.h"

namespace bulkhead::api {
namespace {
constexpr size_t kBatch = 32UL << 10;
}

void require_readable_log(const engine::Container& container) {
  if (container.host_config.log_driver == "none") {
    throw Error(ErrorCode::kNotSupported, "configured logging driver does not support reading");
  }
}

void append_entry(std::string& out, const engine::LogEntry& entry, const LogFormat& format) {
  std::string before;
  if (format.timestamps) {
    before = rfc3339(entry.time) + " ";
  }
  if (format.details) {
    before += entry.attributes + " ";
  }
  if (!format.tty) {
    auto type = entry.stream == engine::LogStream::kOut ? http::StreamType::kOut : http::StreamType::kErr;
    auto header = http::frame_header(type, static_cast<uint32_t>(before.size() + entry.text.size()));
    out.append(header.data(), header.size());
  }
  out += before;
  out += entry.text;
}

bool drain(engine::LogReader& reader, const LogFormat& format, const BytesSink& sink) {
  std::string batch;
  bool any = false;
  while (std::optional<engine::LogEntry> entry = reader.next()) {
    any = true;
    append_entry(batch, *entry, format);
    if (batch.size() >= kBatch) {
      sink(batch);
      batch.clear();
    }
  }
  if (!batch.empty()) {
    sink(batch);
  }
  return any;
}

void replay_log(const engine::Container& container, const engine::AttachOptions& streams, const BytesSink& sink) {
  engine::LogReader reader(container.log_path, {.out = streams.out, .err = streams.err}, engine::LogReader::Follow::kNo);
  drain(reader, {.tty = container.config.tty}, sink);
}

}  // namespace bulkhead::api
