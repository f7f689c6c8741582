#include "cli/error_text.h"

#include <fmt/format.h>

#include <array>

#include "cli/table.h"

namespace bulkhead::cli {
namespace {

struct Hint {
  std::string_view part;  // of the message
  std::string_view text;
};

constexpr std::array kHints = {
    Hint{"No such container", "'bulkhead ps -a' lists them"},
    Hint{"No such image", "'bulkhead images' lists them, 'bulkhead pull' gets one"},
    Hint{"is already in use by container", "choose another --name, or remove the other with 'bulkhead rm'"},
    Hint{"remove a running container", "'bulkhead rm -f' stops and removes it"},
    Hint{"container is running: stop the container", "'bulkhead rm -f' stops and removes it"},
    Hint{"is not running", "'bulkhead start' starts it"},
    Hint{"is paused", "'bulkhead unpause' lets it go on"},
    Hint{"manifest unknown", "check the name and the tag"},
    Hint{"certificate required", "present one that the engine's CA signed with --tlscert and --tlskey"},
    Hint{"the server refuses the TLS handshake",
         "present a certificate that the engine's CA signed with --tlscert and --tlskey"},
    Hint{"unknown ca", "present a certificate that the engine's CA signed with --tlscert and --tlskey"},
    Hint{"certificate expired", "make a new one"},
    Hint{"the server's certificate is refused",
         "--tlscacert has to name the CA of the engine's certificate, and --host what it is for"},
    Hint{"the server speaks no TLS", "leave out --tlsverify, or check the port"},
    Hint{"server gave HTTP response to HTTPS client", "name the registry to the engine with 'bulkheadd --insecure-registry'"},
};

bool has_way_out(std::string_view message) {
  return message.find("bulkhead ") != std::string_view::npos || message.find("--help") != std::string_view::npos;
}

std::string on_one_line(std::string_view message) {
  std::string line;
  for (char letter : message) {
    bool blank = letter == '\n' || letter == '\r' || letter == '\t' || letter == ' ';
    if (!blank) {
      line += letter;
    } else if (!line.empty() && line.back() != ' ') {
      line += ' ';
    }
  }
  while (line.ends_with(' ') || line.ends_with('.')) {
    line.pop_back();
  }
  return printable(line);
}

bool contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

}  // namespace

std::string error_text(const Error& error, std::string_view verb) {
  std::string line = on_one_line(error.message());
  if (has_way_out(line)) {
    return line;
  }
  for (const Hint& hint : kHints) {
    if (contains(line, hint.part)) {
      return fmt::format("{}; {}", line, hint.text);
    }
  }
  if (error.code() == ErrorCode::kPermissionDenied && contains(line, "unix://")) {
    return line + "; run it as root, or name an engine that you may use with --host";
  }
  if (error.code() == ErrorCode::kUnavailable && contains(line, "tcp://")) {
    return line + "; check --host, and that an engine listens there";
  }
  if (error.code() == ErrorCode::kInvalidArgument && !verb.empty()) {
    return fmt::format("{}; see 'bulkhead {} --help'", line, verb);
  }
  return line;
}

int exit_code_of_start_error(const Error& error) {
  const std::string& message = error.message();
  // The engine's errors come as text, and the docker client reads them in the same way.
  if (contains(message, "executable file not found") || contains(message, "no such file or directory")) {
    return 127;
  }
  if (contains(message, "permission denied") || contains(message, "not a directory") || contains(message, "is a directory") ||
      contains(message, "exec format error")) {
    return 126;
  }
  return 125;
}

}  // namespace bulkhead::cli
