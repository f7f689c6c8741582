#include "image/registry_session.h"

#include <fmt/format.h>

#include "image/registry_auth.h"
#include "image/registry_errors.h"
#include "support/error.h"

namespace bulkhead::image {
namespace {

constexpr int kSmallAttempts = 3;

std::string api_host(const std::string& domain) { return domain == "docker.io" ? "registry-1.docker.io" : domain; }

}  // namespace

RegistrySession::RegistrySession(const RegistryPolicy& policy, oci::Reference reference, std::optional<Credentials> credentials,
                                 CancelToken cancel, std::chrono::milliseconds retry_delay)
    : policy_(policy),
      reference_(std::move(reference)),
      credentials_(std::move(credentials)),
      cancel_(std::move(cancel)),
      retry_delay_(retry_delay),
      host_(api_host(reference_.domain)) {
  if (credentials_ && !credentials_->registry_token.empty()) {
    authorization_ = "Bearer " + credentials_->registry_token;
  }
}

HttpOutcome RegistrySession::ping(HttpClient& http, const std::string& scheme) {
  base_ = scheme + "://" + host_ + "/v2/";
  return http.perform({.url = base_});
}

void RegistrySession::connect(HttpClient& http) {
  auto is_registry = [](const HttpOutcome& outcome) {
    int status = outcome.response.head.status;
    return outcome.failure == HttpFailure::kNone && (status == 200 || status == 401);
  };
  // On loopback plain HTTP is the rule: it is asked first. Nothing is sent with it, so nothing leaks where TLS was meant.
  bool plain_first = is_loopback_host(host_);
  HttpOutcome outcome = ping(http, plain_first ? "http" : "https");
  if (policy_.is_insecure(host_) && !is_registry(outcome) && outcome.failure != HttpFailure::kTimedOut &&
      !(plain_first && outcome.failure == HttpFailure::kRefused)) {
    std::string first_base = base_;
    HttpOutcome second = ping(http, plain_first ? "https" : "http");
    if (is_registry(second)) {
      outcome = std::move(second);
    } else {
      base_ = first_base;
    }
  }
  if (outcome.failure != HttpFailure::kNone) {
    throw_http_failure(base_, outcome);
  }
  if (outcome.response.head.status == 401) {
    if (authorization().empty()) {
      authenticate(http, outcome.response.head, "");
    }
  } else if (outcome.response.head.status != 200) {
    throw Error(ErrorCode::kUnavailable, fmt::format("Get \"{}\": {}", base_, parse_registry_error(outcome.response).text));
  }
}

void RegistrySession::verify_credentials(HttpClient& http) {
  HttpOutcome outcome = get(http, {.url = base_});
  if (outcome.failure != HttpFailure::kNone) {
    throw_http_failure(base_, outcome);
  }
  if (outcome.response.head.status != 200) {
    bool refused = outcome.response.head.status == 401 || outcome.response.head.status == 403;
    throw Error(refused ? ErrorCode::kUnauthenticated : ErrorCode::kUnavailable,
                fmt::format("login attempt to {} failed with status: {} {}", base_, outcome.response.head.status,
                            refused ? "Unauthorized" : parse_registry_error(outcome.response).text));
  }
}

std::string RegistrySession::authorization() {
  std::lock_guard lock(mutex_);
  return authorization_;
}

/// `used` is what was refused: another thread may have replaced it meanwhile, then there is nothing to do.
void RegistrySession::authenticate(HttpClient& http, const HttpHead& refused, const std::string& used) {
  std::lock_guard lock(mutex_);
  if (authorization_ != used) {
    return;
  }
  std::optional<AuthChallenge> bearer;
  bool basic = false;
  for (const auto& [name, value] : refused.headers) {
    if (name != "www-authenticate") {
      continue;
    }
    for (AuthChallenge& challenge : parse_challenges(value)) {
      basic = basic || challenge.scheme == "basic";
      if (challenge.scheme == "bearer" && !bearer) {
        bearer = std::move(challenge);
      }
    }
  }
  if (bearer) {
    authorization_ = fetch_bearer_authorization(http, policy_, base_, *bearer,
                                                fmt::format("repository:{}:pull", reference_.path), credentials_);
    return;
  }
  if (basic && credentials_ && !credentials_->username.empty()) {
    authorization_ = basic_authorization(credentials_->username, credentials_->password);
    return;
  }
  throw Error(
      ErrorCode::kUnauthenticated,
      fmt::format("Get \"{}\": {}", base_, basic ? "no basic auth credentials" : "unauthorized: authentication required"));
}

HttpOutcome RegistrySession::get(HttpClient& http, HttpRequest request) {
  std::string used = authorization();
  request.authorization = used;
  HttpOutcome outcome = http.perform(request);
  if (outcome.failure != HttpFailure::kNone || outcome.response.head.status != 401) {
    return outcome;
  }
  // Basic credentials that were refused stay wrong; a token may have run out.
  if (used.starts_with("Basic ")) {
    return outcome;
  }
  authenticate(http, outcome.response.head, used);
  request.authorization = authorization();
  return http.perform(request);
}

RegistrySession::RawManifest RegistrySession::manifest(HttpClient& http, const std::string& tag_or_digest) {
  HttpRequest request;
  request.url = fmt::format("{}{}/manifests/{}", base_, reference_.path, tag_or_digest);
  request.headers = {fmt::format("Accept: {}", oci::accepted_manifest_types())};
  request.max_body = oci::kMaxManifestSize;
  HttpOutcome outcome;
  for (int attempt = 1;; ++attempt) {
    outcome = get(http, request);
    bool again = outcome.failure == HttpFailure::kBroken ||
                 (outcome.failure == HttpFailure::kNone && outcome.response.head.status >= 500);
    if (!again || attempt == kSmallAttempts) {
      break;
    }
    sleep_unless_cancelled(retry_delay_ * attempt, cancel_);
  }
  if (outcome.failure != HttpFailure::kNone) {
    throw_http_failure(request.url, outcome);
  }
  if (outcome.response.head.status != 200) {
    throw_manifest_error(reference_, request.url, outcome.response);
  }
  std::string bytes = std::move(outcome.response.body);
  std::optional<oci::Digest> wanted = oci::Digest::try_parse(tag_or_digest);
  oci::Digest digest = oci::Hasher::of(bytes, wanted ? wanted->algorithm() : oci::DigestAlgorithm::kSha256);
  if (wanted && digest != *wanted) {
    throw Error(ErrorCode::kDataLoss, fmt::format("manifest verification failed for digest {}", wanted->text()));
  }
  std::string media_type(outcome.response.head.header("content-type"));
  media_type = media_type.substr(0, media_type.find_first_of("; "));
  return {.bytes = std::move(bytes), .media_type = std::move(media_type), .digest = std::move(digest)};
}

}  // namespace bulkhead::image
