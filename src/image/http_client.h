// HTTP requests to registries by libcurl, with this project's limits: no redirect that drops TLS, carries credentials to
// another host or never ends; bounded headers and bodies; an end to every wait.
//
// One client belongs to one thread; it keeps its connections for the next request.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "image/cancel.h"
#include "image/registry_host.h"

namespace bulkhead::image {

struct HttpTimeouts {
  std::chrono::milliseconds connect{10'000};
  std::chrono::milliseconds stall{30'000};  // next to nothing arrived in this time
};

struct HttpHead {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;  // names in lower case
  /// The first of that name, or "".
  std::string_view header(std::string_view name) const;
  /// Content-Length, where there is a valid one.
  std::optional<int64_t> content_length() const;
};

struct HttpRequest {
  std::string url;
  std::vector<std::string> headers;  // "Accept: ..."
  std::string authorization;         // value of the header; goes to the URL's host only
  std::string form;                  // POST of this body where not empty
  size_t max_body = 64UL << 10;      // for bodies that are kept
  /// Where set, a body of status 200 or 206 goes here instead of into HttpResponse. May throw: that ends the transfer.
  std::function<void(std::string_view)> sink;
  /// Called with the head of such a response, before its body. May throw.
  std::function<void(const HttpHead&)> on_head;
};

struct HttpResponse {
  HttpHead head;
  std::string body;
};

/// How a transfer ended without a whole response. The message says only what happened, not where.
enum class HttpFailure {
  kNone,
  kRefused,   // no connection
  kBroken,    // the connection ended within a response: another try may help
  kTimedOut,  // connect or stall
  kTls,       // handshake or verification
  kPolicy,    // a redirect or size that is not allowed
};

struct HttpOutcome {
  HttpFailure failure = HttpFailure::kNone;
  std::string message;  // of the failure
  HttpResponse response;
};

class HttpClient {
 public:
  HttpClient(const RegistryPolicy& policy, HttpTimeouts timeouts, CancelToken cancel);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  /// Throws what a callback threw, or kUnavailable where cancelled; everything else is in the outcome.
  HttpOutcome perform(const HttpRequest& request);

 private:
  struct Transfer;
  struct Free {
    void operator()(void* curl) const;
  };
  HttpOutcome perform_once(const HttpRequest& request, const std::string& url, bool with_authorization);
  void configure_tls(const std::string& url);

  const RegistryPolicy& policy_;
  HttpTimeouts timeouts_;
  CancelToken cancel_;
  std::unique_ptr<void, Free> curl_;
  std::string authorities_;  // curl keeps a pointer
};

/// `Get "https://host/v2/": <what happened>`, with the code that fits the failure.
[[noreturn]] void throw_http_failure(const std::string& url, const HttpOutcome& outcome);

/// "scheme://host[:port]" parts of a URL; empty host where it is not http(s), or carries a user. "host:port" has the port only
/// where the URL names one.
struct UrlParts {
  std::string scheme, host_port, origin;  // origin: scheme, host and effective port
};
UrlParts split_url(const std::string& url);
/// `location` as seen from `base`; "" where it is no URL.
std::string resolve_url(const std::string& base, const std::string& location);
std::string url_encode(std::string_view text);

}  // namespace bulkhead::image
