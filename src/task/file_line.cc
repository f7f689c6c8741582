#include "task/file_line.h"

#include <cstdint>
#include <nlohmann/json.hpp>
#include <vector>

#include "task/attach_header.h"

namespace bulkhead::task {
namespace {

using nlohmann::json;

json bytes_of(const std::string& text) { return std::vector<uint8_t>(text.begin(), text.end()); }

std::string text_of(const json& bytes) {
  auto numbers = bytes.get<std::vector<uint8_t>>();
  return {numbers.begin(), numbers.end()};
}

std::string line_of(const json& object) { return object.dump(-1, ' ', false, json::error_handler_t::replace) + "\n"; }

}  // namespace

std::string to_line(const archive::FileRequest& request) {
  return line_of({{"files", static_cast<int>(request.kind)},
                  {"path", bytes_of(request.path)},
                  {"same_kind", request.overwrite == archive::Overwrite::kSameKind},
                  {"owner", bytes_of(request.owner)}});
}

std::optional<archive::FileRequest> parse_file_request(std::string_view line) {
  json object = line.size() > kMaxFileLine ? json() : json::parse(line, nullptr, false);
  if (!object.is_object() || !object.contains("files")) {
    return std::nullopt;
  }
  try {
    int kind = object.at("files").get<int>();
    if (kind < 0 || kind > static_cast<int>(archive::FileRequest::Kind::kUnpack)) {
      throw Error(ErrorCode::kInvalidArgument, "a request about files is of unknown kind");
    }
    return archive::FileRequest{
        .kind = static_cast<archive::FileRequest::Kind>(kind),
        .path = archive::clean_request_path(text_of(object.at("path"))),
        .overwrite = object.at("same_kind").get<bool>() ? archive::Overwrite::kSameKind : archive::Overwrite::kAnything,
        .owner = text_of(object.at("owner"))};
  } catch (const json::exception&) {
    throw Error(ErrorCode::kInvalidArgument, "a request about files has a property of the wrong type");
  }
}

std::string file_work_done(const archive::PathStat& found) {
  return line_of({{"ok", true},
                  {"name", bytes_of(found.name)},
                  {"size", found.size},
                  {"mode", found.mode},
                  {"seconds", static_cast<int64_t>(found.mtime.tv_sec)},
                  {"nanoseconds", static_cast<int64_t>(found.mtime.tv_nsec)},
                  {"link_target", bytes_of(found.link_target)}});
}

std::string file_work_failed(const Error& error) { return attach_refused(error); }

archive::PathStat parse_file_answer(std::string_view line) {
  json object = line.size() > kMaxFileLine ? json() : json::parse(line, nullptr, false);
  try {
    if (!object.is_object() || !object.at("ok").get<bool>()) {
      check_attach_answer(line);
      throw Error(ErrorCode::kDataLoss, "the shim's answer about files is malformed");
    }
    archive::PathStat found{.name = text_of(object.at("name")),
                            .size = object.at("size").get<uint64_t>(),
                            .mode = object.at("mode").get<uint32_t>(),
                            .mtime = {},
                            .link_target = text_of(object.at("link_target"))};
    found.mtime.tv_sec = object.at("seconds").get<int64_t>();
    found.mtime.tv_nsec = object.at("nanoseconds").get<int64_t>();
    return found;
  } catch (const json::exception&) {
    throw Error(ErrorCode::kDataLoss, "the shim's answer about files is malformed");
  }
}

}  // namespace bulkhead::task
