#include "api/credentials.h"

#include <nlohmann/json.hpp>

namespace bulkhead::api {
namespace {

int value_of(char letter) {
  if (letter >= 'A' && letter <= 'Z') {
    return letter - 'A';
  }
  if (letter >= 'a' && letter <= 'z') {
    return letter - 'a' + 26;
  }
  if (letter >= '0' && letter <= '9') {
    return letter - '0' + 52;
  }
  if (letter == '-' || letter == '+') {
    return 62;
  }
  return letter == '_' || letter == '/' ? 63 : -1;
}

std::string text_at(const nlohmann::json& json, const char* name) {
  auto found = json.find(name);
  return found != json.end() && found->is_string() ? found->get<std::string>() : "";
}

}  // namespace

std::optional<std::string> decode_base64(std::string_view text) {
  while (text.ends_with('=')) {
    text.remove_suffix(1);
  }
  std::string out;
  unsigned bits = 0;
  int held = 0;
  for (char letter : text) {
    int value = value_of(letter);
    if (value < 0) {
      return std::nullopt;
    }
    bits = bits << 6 | static_cast<unsigned>(value);
    held += 6;
    if (held >= 8) {
      held -= 8;
      out += static_cast<char>(bits >> held & 0xFF);
    }
  }
  return out;
}

std::optional<image::Credentials> parse_registry_auth(std::string_view header) {
  std::optional<std::string> text = decode_base64(header);
  if (!text || text->empty()) {
    return std::nullopt;
  }
  nlohmann::json json = nlohmann::json::parse(*text, nullptr, false);
  if (!json.is_object()) {
    return std::nullopt;
  }
  image::Credentials credentials{.username = text_at(json, "username"),
                                 .password = text_at(json, "password"),
                                 .identity_token = text_at(json, "identitytoken"),
                                 .registry_token = text_at(json, "registrytoken")};
  // Old clients send "auth": base64 of "name:password".
  if (std::optional<std::string> pair = decode_base64(text_at(json, "auth")); credentials.username.empty() && pair) {
    size_t colon = pair->find(':');
    if (colon != std::string::npos) {
      credentials.username = pair->substr(0, colon);
      credentials.password = pair->substr(colon + 1);
    }
  }
  bool empty = credentials.username.empty() && credentials.identity_token.empty() && credentials.registry_token.empty();
  return empty ? std::nullopt : std::optional(std::move(credentials));
}

}  // namespace bulkhead::api
