#include "image/registry_auth.h"

#include <fmt/format.h>

#include <algorithm>

#include "archive/archive_path.h"
#include "image/registry_errors.h"
#include "oci/bounded_json.h"
#include "support/error.h"

namespace bulkhead::image {
namespace {

bool is_token_char(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         std::string_view("!#$%&'*+-.^_`|~").find(c) != std::string_view::npos;
}

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return text;
}

/// A cursor over one header's value.
class Scanner {
 public:
  explicit Scanner(std::string_view text) : text_(text) {}

  void skip(std::string_view characters) {
    while (!text_.empty() && characters.find(text_.front()) != std::string_view::npos) {
      text_.remove_prefix(1);
    }
  }
  std::string word() {
    size_t end = 0;
    while (end < text_.size() && is_token_char(text_[end])) {
      ++end;
    }
    std::string result(text_.substr(0, end));
    text_.remove_prefix(end);
    return result;
  }
  bool take(char c) {
    if (text_.empty() || text_.front() != c) {
      return false;
    }
    text_.remove_prefix(1);
    return true;
  }
  /// A word or a quoted string.
  std::string value() {
    if (!take('"')) {
      return word();
    }
    std::string result;
    while (!text_.empty() && !take('"')) {
      if (text_.front() == '\\' && text_.size() > 1) {
        text_.remove_prefix(1);
      }
      result += text_.front();
      text_.remove_prefix(1);
    }
    return result;
  }
  bool at_end() const { return text_.empty(); }

 private:
  std::string_view text_;
};

std::string base64(std::string_view bytes) {
  constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string result;
  for (size_t i = 0; i < bytes.size(); i += 3) {
    uint32_t group = 0;
    size_t count = std::min<size_t>(3, bytes.size() - i);
    for (size_t j = 0; j < 3; ++j) {
      group = (group << 8U) | (j < count ? static_cast<unsigned char>(bytes[i + j]) : 0U);
    }
    for (size_t j = 0; j < 4; ++j) {
      result += j <= count ? kAlphabet[(group >> (18 - 6 * j)) & 63U] : '=';
    }
  }
  return result;
}

std::string token_of(const std::string& body, const std::string& realm) {
  nlohmann::json answer = oci::parse_bounded_json(body, fmt::format("token from \"{}\"", realm));
  for (const char* key : {"token", "access_token"}) {
    if (answer.is_object() && answer.contains(key) && answer[key].is_string() && !answer[key].get<std::string>().empty()) {
      std::string token = answer[key].get<std::string>();
      // SECURITY: the token becomes a header's value: a line end in it would be a header of the sender's choice.
      if (std::any_of(token.begin(), token.end(), [](char c) { return c <= 0x20 || c >= 0x7f; })) {
        break;
      }
      return token;
    }
  }
  throw Error(ErrorCode::kDataLoss, fmt::format("Get \"{}\": the answer holds no token", realm));
}

HttpRequest token_request(const std::string& realm, const AuthChallenge& challenge, const std::string& scope,
                          const std::optional<Credentials>& credentials) {
  std::string service = challenge.parameters.contains("service") ? challenge.parameters.at("service") : "";
  HttpRequest request;
  request.max_body = 1UL << 20;
  if (credentials && !credentials->identity_token.empty()) {
    request.url = realm;
    request.form = fmt::format("grant_type=refresh_token&client_id=bulkhead&service={}&scope={}&refresh_token={}",
                               url_encode(service), url_encode(scope), url_encode(credentials->identity_token));
    return request;
  }
  request.url = fmt::format("{}{}scope={}", realm, realm.find('?') == std::string::npos ? '?' : '&', url_encode(scope));
  if (!service.empty()) {
    request.url += "&service=" + url_encode(service);
  }
  if (credentials && !credentials->username.empty()) {
    request.url += "&account=" + url_encode(credentials->username);
    request.authorization = basic_authorization(credentials->username, credentials->password);
  }
  return request;
}

}  // namespace

std::vector<AuthChallenge> parse_challenges(std::string_view header) {
  std::vector<AuthChallenge> challenges;
  Scanner scanner(header);
  while (!scanner.at_end()) {
    scanner.skip(" \t,");
    std::string word = scanner.word();
    if (word.empty()) {
      break;
    }
    scanner.skip(" \t");
    if (!scanner.take('=')) {
      challenges.push_back({.scheme = lower(word), .parameters = {}});
      continue;
    }
    scanner.skip(" \t");
    std::string value = scanner.value();
    if (challenges.empty()) {
      break;
    }
    challenges.back().parameters.emplace(lower(word), std::move(value));
  }
  return challenges;
}

std::string basic_authorization(const std::string& username, const std::string& password) {
  return "Basic " + base64(username + ":" + password);
}

std::string fetch_bearer_authorization(HttpClient& http, const RegistryPolicy& policy, const std::string& registry_url,
                                       const AuthChallenge& challenge, const std::string& scope,
                                       const std::optional<Credentials>& credentials) {
  auto realm = challenge.parameters.find("realm");
  UrlParts parts = realm == challenge.parameters.end() ? UrlParts{} : split_url(realm->second);
  UrlParts registry = split_url(registry_url);
  // SECURITY: the registry names whom the credentials go to. Over TLS it may name another host (Docker Hub does), but never a
  // way that others can read, nor, from outside, this machine.
  bool readable = parts.scheme == "http" && (registry.scheme == "https" || !policy.is_insecure(parts.host_port));
  bool inward = is_loopback_host(parts.host_port) && !is_loopback_host(registry.host_port);
  if (parts.host_port.empty() || readable || inward) {
    throw Error(ErrorCode::kUnauthenticated,
                fmt::format("Get \"{}\": the registry sends to the token server '{}', which is refused", registry_url,
                            realm == challenge.parameters.end() ? "" : archive::printable(realm->second)));
  }
  HttpRequest request = token_request(realm->second, challenge, scope, credentials);
  HttpOutcome outcome = http.perform(request);
  if (outcome.failure != HttpFailure::kNone) {
    throw_http_failure(realm->second, outcome);
  }
  if (int status = outcome.response.head.status; status != 200) {
    RegistryError error = parse_registry_error(outcome.response);
    throw Error(status == 401 || status == 403 ? ErrorCode::kUnauthenticated : ErrorCode::kUnavailable,
                fmt::format("Get \"{}\": {}", realm->second,
                            status == 401 ? "unauthorized: incorrect username or password" : error.text));
  }
  return "Bearer " + token_of(outcome.response.body, realm->second);
}

}  // namespace bulkhead::image
