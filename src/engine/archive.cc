// The files inside a container: `docker cp`. Its shim reaches them; a container that doesn't run is given one for the moment.
#include <fmt/format.h>
#include <poll.h>

#include <memory>

#include "engine/engine_state.h"
#include "image/decompressor.h"
#include "support/error.h"
#include "task/file_call.h"

namespace bulkhead::engine {
namespace {

constexpr size_t kPiece = 256UL << 10;

/// Nothing is at the path that was asked for. A type of its own, as other things may be missing too: a folder of the host that
/// is mounted there, a file that a link in an archive leads to.
class PathNotFound : public Error {
 public:
  /// Docker's words.
  PathNotFound(const std::string& path, const std::string& reference)
      : Error(ErrorCode::kNotFound, fmt::format("Could not find the file {} in container {}", path, reference)) {}
};

bool is_missing(const Error& error) { return error.code() == ErrorCode::kNotFound; }

class PieceSource : public archive::ChunkSource {
 public:
  explicit PieceSource(const ArchiveSource& read) : read_(read), buffer_(std::make_unique<char[]>(kPiece)) {}
  std::string_view next() override { return {buffer_.get(), read_(buffer_.get(), kPiece)}; }

 private:
  const ArchiveSource& read_;
  std::unique_ptr<char[]> buffer_;
};

/// A path in a container, in the client's words.
class Place {
 public:
  Place(const std::string& reference, const std::string& path)
      : reference_(reference), path_(path), clean_(archive::clean_request_path(path)) {}

  archive::FileRequest request(archive::FileRequest::Kind kind) const { return {.kind = kind, .path = clean_, .owner = {}}; }

  archive::PathStat stat(const ReachedFiles& files) const {
    try {
      return task::FileCall(files.bundle, request(archive::FileRequest::Kind::kStat), files.interrupts).finish();
    } catch (const Error& error) {
      if (is_missing(error)) {
        throw PathNotFound(path_, reference_);
      }
      throw;
    }
  }

  /// Tells what is missing: the place itself, or something else that the archive's end speaks of.
  void finish(task::FileCall& call, const ReachedFiles& files) const {
    try {
      call.finish();
    } catch (const Error& error) {
      if (is_missing(error)) {
        stat(files);
      }
      throw;
    }
  }

 private:
  const std::string& reference_;
  const std::string& path_;
  std::string clean_;
};

/// The stream's bytes until its end. An end alone doesn't mean that the archive is whole.
void pour_out(task::FileCall& call, const ArchiveSink& sink) {
  auto buffer = std::make_unique<char[]>(kPiece);
  while (size_t count = call.read(buffer.get(), kPiece)) {
    sink({buffer.get(), count});
  }
}

/// Returns early where the shim takes no more: it then says why.
void pour_in(task::FileCall& call, archive::ChunkSource& source) {
  for (std::string_view bytes = source.next(); !bytes.empty() && call.write(bytes);) {
    bytes = source.next();
  }
}

}  // namespace

std::vector<task::Interrupt> interrupts_of(const CopyClient& client) {
  using When = task::Interrupt::When;
  return {{.descriptor = client.descriptor,
           .events = POLLRDHUP,
           .when = When::kWhileWaiting,
           .error = Error(ErrorCode::kUnavailable, "the client has gone")},
          {.descriptor = client.stop_descriptor,
           .events = POLLIN,
           .when = When::kWhileWaiting,
           .error = Error(ErrorCode::kUnavailable, "the engine is stopping")}};
}

void Engine::State::with_files(const std::string& reference, const CopyClient& client, const FilesBody& body) {
  LivePointer live = find(reference);
  try {
    for (;;) {
      if (Container record = live->copy(); record.is_running()) {
        body({.record = record, .bundle = bundle(record.id), .interrupts = interrupts_of(client)});
        return;
      }
      std::lock_guard operation(live->operation);
      if (with_idle_wall(live, client, body)) {
        return;
      }
    }
  } catch (const PathNotFound&) {
    throw;
  } catch (const Error& error) {
    if (is_missing(error)) {  // a client would take "404" for the container, or the path
      throw Error(ErrorCode::kInternal, error.message());
    }
    throw;
  }
}

archive::PathStat Engine::path_stat(const std::string& reference, const std::string& path, const CopyClient& client) {
  Place place(reference, path);
  archive::PathStat found;
  state_->with_files(reference, client, [&](const ReachedFiles& files) { found = place.stat(files); });
  return found;
}

void Engine::read_archive(const std::string& reference, const std::string& path, const CopyClient& client,
                          const std::function<void(const archive::PathStat&)>& begin, const ArchiveSink& sink) {
  Place place(reference, path);
  state_->with_files(reference, client, [&](const ReachedFiles& files) {
    begin(place.stat(files));
    task::FileCall call(files.bundle, place.request(archive::FileRequest::Kind::kPack), files.interrupts);
    pour_out(call, sink);
    place.finish(call, files);
    state_->publish(files.record, "archive-path");
  });
}

void Engine::write_archive(const std::string& reference, const std::string& path, const CopyClient& client,
                           const ExtractOptions& options, const ArchiveSource& read) {
  Place place(reference, path);
  state_->with_files(reference, client, [&](const ReachedFiles& files) {
    archive::FileRequest request = place.request(archive::FileRequest::Kind::kUnpack);
    request.overwrite = options.overwrite;
    if (options.owner == ExtractOptions::Owner::kUserOfContainer) {
      request.owner = files.record.config.user;
    }
    task::FileCall call(files.bundle, request, files.interrupts);
    PieceSource pieces(read);
    image::DecompressedSource plain(pieces);
    pour_in(call, plain);
    call.end_stream();
    place.finish(call, files);
    state_->publish(files.record, "extract-to-dir");
  });
}

}  // namespace bulkhead::engine
