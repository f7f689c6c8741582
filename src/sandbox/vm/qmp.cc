#include "sandbox/vm/qmp.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>

#include "support/descriptor_passing.h"
#include "support/error.h"

namespace bulkhead::sandbox::vm {
namespace {

using nlohmann::json;

constexpr size_t kMaxLine = 1UL << 20;
constexpr size_t kMaxText = 1024;

std::string text_of(const json& object, const char* key) {
  auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>().substr(0, kMaxText) : std::string();
}

}  // namespace

void QmpReader::feed(std::string_view bytes) {
  buffer_ += bytes;
  if (buffer_.size() > kMaxLine && buffer_.find('\n') == std::string::npos) {
    throw Error(ErrorCode::kDataLoss, "QEMU sent an endless line");
  }
}

std::optional<json> QmpReader::next() {
  size_t end = buffer_.find('\n');
  if (end == std::string::npos) {
    return std::nullopt;
  }
  // No callbacks, no exceptions of the parser's own; depth is bounded by the line's length.
  json message = json::parse(buffer_.begin(), buffer_.begin() + static_cast<ptrdiff_t>(end), nullptr, false);
  buffer_.erase(0, end + 1);
  if (!message.is_object()) {
    throw Error(ErrorCode::kDataLoss, "QEMU sent what is no QMP message");
  }
  return message;
}

Qmp::Qmp(UniqueFd socket, std::chrono::milliseconds timeout) : socket_(std::move(socket)), timeout_(timeout) {
  json greeting = receive(std::chrono::steady_clock::now() + timeout_);
  if (!greeting.contains("QMP")) {
    throw Error(ErrorCode::kDataLoss, "QEMU doesn't begin with QMP's greeting");
  }
  execute("qmp_capabilities");
}

Qmp Qmp::adopt(UniqueFd socket, std::chrono::milliseconds timeout) {
  Qmp qmp;
  qmp.socket_ = std::move(socket);
  qmp.timeout_ = timeout;
  return qmp;
}

UniqueFd Qmp::release() {
  while (auto event = reader_.next()) {
    note_event(*event);
  }
  if (!reader_.empty()) {
    throw Error(ErrorCode::kConflict, "QEMU was interrupted in the middle of a message");
  }
  return std::move(socket_);
}

void Qmp::send(const std::string& line, int fd) {
  // A command is far smaller than a socket's buffer: a part that doesn't fit means that QEMU reads no more.
  if (send_with_descriptors(socket_.get(), line, {&fd, fd >= 0 ? 1U : 0U}, MSG_DONTWAIT) != static_cast<ssize_t>(line.size())) {
    throw Error(ErrorCode::kUnavailable, system_error("send a command to QEMU").message());
  }
}

json Qmp::receive(std::chrono::steady_clock::time_point deadline) {
  for (;;) {
    if (auto message = reader_.next()) {
      return std::move(*message);
    }
    auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now()).count();
    pollfd wait{.fd = socket_.get(), .events = POLLIN, .revents = 0};
    int ready = ::poll(&wait, 1, static_cast<int>(std::clamp<int64_t>(left, 0, 1'000'000)));
    if (ready == 0) {
      throw Error(ErrorCode::kDeadlineExceeded, "QEMU doesn't answer");
    }
    std::array<char, 16384> bytes;
    ssize_t count = ::recv(socket_.get(), bytes.data(), bytes.size(), MSG_DONTWAIT);
    if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
      continue;
    }
    if (count <= 0) {
      throw Error(ErrorCode::kUnavailable, "QEMU has ended");
    }
    reader_.feed(std::string_view(bytes.data(), static_cast<size_t>(count)));
  }
}

void Qmp::note_event(const json& message) {
  if (text_of(message, "event") == "SHUTDOWN") {
    auto data = message.find("data");
    shutdown_reason_ = data != message.end() && data->is_object() ? text_of(*data, "reason") : std::string();
  }
}

json Qmp::await_return(const char* command) {
  auto deadline = std::chrono::steady_clock::now() + timeout_;
  for (;;) {
    json message = receive(deadline);
    if (auto result = message.find("return"); result != message.end()) {
      return std::move(*result);
    }
    if (auto error = message.find("error"); error != message.end()) {
      throw Error(ErrorCode::kInternal,
                  fmt::format("QEMU refused '{}': {}", command, error->is_object() ? text_of(*error, "desc") : std::string()));
    }
    note_event(message);
  }
}

json Qmp::execute(const char* command, const json& arguments) { return execute_with_fd(command, arguments, -1); }

json Qmp::execute(const char* command) { return execute_with_fd(command, json::object(), -1); }

json Qmp::execute_with_fd(const char* command, const json& arguments, int fd) {
  send(json{{"execute", command}, {"arguments", arguments}}.dump() + "\n", fd);
  return await_return(command);
}

void Qmp::execute_all(const std::vector<QmpCommand>& commands) {
  for (const QmpCommand& command : commands) {
    send(json{{"execute", command.name}, {"arguments", command.arguments}}.dump() + "\n", command.file);
  }
  std::optional<Error> first;
  for (const QmpCommand& command : commands) {
    try {
      await_return(command.name);
    } catch (const Error& error) {
      if (error.code() != ErrorCode::kInternal) {
        throw;  // no more answers will come
      }
      first = first ? first : error;
    }
  }
  if (first) {
    throw Error(*first);
  }
}

std::string Qmp::shutdown_reason() {
  try {
    for (;;) {
      note_event(receive(std::chrono::steady_clock::now()));
    }
  } catch (const Error&) {  // nothing more to read
  }
  return shutdown_reason_;
}

}  // namespace bulkhead::sandbox::vm
