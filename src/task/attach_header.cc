#include "task/attach_header.h"

#include <nlohmann/json.hpp>

namespace bulkhead::task {
namespace {

using nlohmann::json;

std::string line_of(const json& object) { return object.dump(-1, ' ', false, json::error_handler_t::replace) + "\n"; }

json object_of(std::string_view line, ErrorCode code) {
  if (line.size() > kMaxAttachLine) {
    throw Error(code, "the first line of the attach connection is too long");
  }
  json object = json::parse(line, nullptr, false);
  if (!object.is_object()) {
    throw Error(code, "the first line of the attach connection is no JSON object");
  }
  return object;
}

Error error_of(const std::string& code, const std::string& message) {
  for (int value = 0; value <= static_cast<int>(ErrorCode::kInternal); ++value) {
    if (name(static_cast<ErrorCode>(value)) == code) {
      return {static_cast<ErrorCode>(value), message};
    }
  }
  return {ErrorCode::kInternal, message};
}

}  // namespace

std::string to_line(const AttachHeader& header) {
  return line_of({{"exec_id", header.exec_id},
                  {"in", header.in},
                  {"out", header.out},
                  {"err", header.err},
                  {"close_stdin_at_end", header.close_stdin_at_end}});
}

AttachHeader parse_attach_header(std::string_view line) {
  json object = object_of(line, ErrorCode::kInvalidArgument);
  try {
    return {.exec_id = object.value("exec_id", ""),
            .in = object.value("in", false),
            .out = object.value("out", false),
            .err = object.value("err", false),
            .close_stdin_at_end = object.value("close_stdin_at_end", false)};
  } catch (const json::exception&) {
    throw Error(ErrorCode::kInvalidArgument, "the first line of the attach connection has a property of the wrong type");
  }
}

std::string attach_accepted() { return line_of({{"ok", true}}); }

std::string attach_refused(const Error& error) {
  return line_of({{"ok", false}, {"code", name(error.code())}, {"message", error.message().substr(0, kMaxAttachLine / 4)}});
}

void check_attach_answer(std::string_view line) {
  json object = object_of(line, ErrorCode::kDataLoss);
  try {
    if (!object.at("ok").get<bool>()) {
      throw error_of(object.at("code").get<std::string>(), object.at("message").get<std::string>());
    }
  } catch (const json::exception&) {
    throw Error(ErrorCode::kDataLoss, "the shim's answer to attach is malformed");
  }
}

}  // namespace bulkhead::task
