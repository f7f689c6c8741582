// The files inside a container: `docker cp`. Its shim reaches them; a container that doesn't run is given one for the moment.
#include <fmt/format.h>
#include <sys/socket.h>

#include <array>

#include "engine/engine_state.h"
#include "image/decompressor.h"
#include "support/error.h"
#include "task/file_call.h"

namespace bulkhead::engine {
namespace {

constexpr size_t kPiece = 256UL << 10;

/// Docker's words.
Error could_not_find(const std::string& path, const std::string& reference) {
  return {ErrorCode::kNotFound, fmt::format("Could not find the file {} in container {}", path, reference)};
}

class PieceSource : public archive::ChunkSource {
 public:
  explicit PieceSource(const ArchiveSource& read) : read_(read), buffer_(std::make_unique<char[]>(kPiece)) {}
  std::string_view next() override { return {buffer_.get(), read_(buffer_.get(), kPiece)}; }

 private:
  const ArchiveSource& read_;
  std::unique_ptr<char[]> buffer_;
};

/// The stream's bytes until its end. An end alone doesn't mean that the archive is whole.
void pour_out(int stream, const ArchiveSink& sink) {
  auto buffer = std::make_unique<char[]>(kPiece);
  for (;;) {
    ssize_t count = ::recv(stream, buffer.get(), kPiece, 0);
    if (count < 0 && errno == EINTR) {
      continue;
    }
    if (count <= 0) {
      return;
    }
    sink({buffer.get(), static_cast<size_t>(count)});
  }
}

/// Returns early where the shim takes no more: it then says why.
void pour_in(int stream, archive::ChunkSource& source) {
  for (std::string_view bytes = source.next(); !bytes.empty(); bytes = source.next()) {
    while (!bytes.empty()) {
      ssize_t count = ::send(stream, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (count < 0 && errno == EINTR) {
        continue;
      }
      if (count < 0) {
        return;
      }
      bytes.remove_prefix(static_cast<size_t>(count));
    }
  }
}

}  // namespace

void Engine::State::with_files(const std::string& reference, const std::string& path,
                               const std::function<void(const Container&, const std::filesystem::path&)>& body) {
  LivePointer live = find(reference);
  try {
    for (;;) {
      if (Container record = live->copy(); record.is_running()) {
        body(record, bundle(record.id));
        return;
      }
      std::lock_guard operation(live->operation);
      if (with_idle_wall(live, body)) {
        return;
      }
    }
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kNotFound) {
      throw could_not_find(path, reference);
    }
    throw;
  }
}

archive::PathStat Engine::path_stat(const std::string& reference, const std::string& path) {
  archive::FileRequest request{.path = archive::clean_request_path(path), .owner = {}};
  archive::PathStat found;
  state_->with_files(reference, path, [&](const Container&, const std::filesystem::path& bundle) {
    found = task::FileCall(bundle, request).finish();
  });
  return found;
}

void Engine::read_archive(const std::string& reference, const std::string& path,
                          const std::function<void(const archive::PathStat&)>& begin, const ArchiveSink& sink) {
  archive::FileRequest request{.path = archive::clean_request_path(path), .owner = {}};
  state_->with_files(reference, path, [&](const Container& record, const std::filesystem::path& bundle) {
    begin(task::FileCall(bundle, request).finish());
    request.kind = archive::FileRequest::Kind::kPack;
    task::FileCall call(bundle, request);
    pour_out(call.stream(), sink);
    call.finish();
    state_->publish(record, "archive-path");
  });
}

void Engine::write_archive(const std::string& reference, const std::string& path, const ExtractOptions& options,
                           const ArchiveSource& read) {
  archive::FileRequest request{.kind = archive::FileRequest::Kind::kUnpack,
                               .path = archive::clean_request_path(path),
                               .overwrite = options.overwrite,
                               .owner = {}};
  state_->with_files(reference, path, [&](const Container& record, const std::filesystem::path& bundle) {
    if (options.owner == ExtractOptions::Owner::kUserOfContainer) {
      request.owner = record.config.user;
    }
    task::FileCall call(bundle, request);
    PieceSource pieces(read);
    image::DecompressedSource plain(pieces);
    pour_in(call.stream(), plain);
    call.end_stream();
    call.finish();
    state_->publish(record, "extract-to-dir");
  });
}

}  // namespace bulkhead::engine
