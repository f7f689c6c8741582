// HEAD, GET and PUT /containers/{name}/archive: what `docker cp` does.
#include "api/handlers.h"
#include "api/path_stat_view.h"
#include "support/error.h"

namespace bulkhead::api {
namespace {

std::string path_of(const Request& request) {
  std::string path = request.query.get("path");
  if (path.empty()) {
    throw Error(ErrorCode::kInvalidArgument, "bad parameter: 'path' cannot be empty");
  }
  return path;
}

engine::CopyClient client_of(Request& request) {
  return {.descriptor = request.exchange.descriptor(),
          .stop_descriptor = request.exchange.stop_descriptor(),
          .hurry = [&exchange = request.exchange](std::optional<std::chrono::milliseconds> idle, int interrupt) {
            exchange.set_patience({.idle = idle, .interrupt = interrupt});
          }};
}

void add_stat(Request& request, const archive::PathStat& found) {
  request.exchange.response_headers().set("X-Docker-Container-Path-Stat", path_stat_header(found));
}

}  // namespace

void containers_archive_stat(Request& request) {
  add_stat(request, request.engine.path_stat(request.name, path_of(request), client_of(request)));
  answer_empty(request, 200);
}

void containers_archive_get(Request& request) {
  auto begin = [&](const archive::PathStat& found) {
    add_stat(request, found);
    request.exchange.begin_stream(200, "application/x-tar");
  };
  request.engine.read_archive(request.name, path_of(request), client_of(request), begin,
                              [&](std::string_view bytes) { request.exchange.write(bytes); });
}

void containers_archive_put(Request& request) {
  using Owner = engine::ExtractOptions::Owner;
  engine::ExtractOptions options{
      .overwrite = request.query.flag("noOverwriteDirNonDir") ? archive::Overwrite::kSameKind : archive::Overwrite::kAnything,
      .owner = request.query.flag("copyUIDGID") ? Owner::kUserOfContainer : Owner::kAsInArchive};
  request.engine.write_archive(request.name, path_of(request), client_of(request), options,
                               [&](char* buffer, size_t size) { return request.exchange.read_some(buffer, size); });
  answer_empty(request, 200);
}

}  // namespace bulkhead::api
