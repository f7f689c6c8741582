#include "image/http_client.h"

#include <curl/curl.h>
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>
#include <mutex>

#include "support/error.h"

namespace bulkhead::image {
namespace {

using Clock = std::chrono::steady_clock;

constexpr int kMaxRedirects = 5;
constexpr size_t kMaxHeaderBytes = 64UL << 10;
// Less than this within one stall time is a hanging peer that only pretends.
constexpr int64_t kMinProgress = 1024;

std::string lower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return result;
}

bool is_redirect(int status) { return status == 301 || status == 302 || status == 303 || status == 307 || status == 308; }
bool has_content(int status) { return status == 200 || status == 206; }

template <typename Value>
void set(void* curl, CURLoption option, Value value) {
  if (CURLcode result = curl_easy_setopt(curl, option, value); result != CURLE_OK) {
    throw Error(ErrorCode::kInternal,
                fmt::format("libcurl option {}: {}", static_cast<int>(option), curl_easy_strerror(result)));
  }
}

struct FreeList {
  void operator()(curl_slist* list) const { curl_slist_free_all(list); }
};
using HeaderList = std::unique_ptr<curl_slist, FreeList>;

void append(HeaderList& list, const std::string& header) {
  curl_slist* longer = curl_slist_append(list.get(), header.c_str());
  if (longer == nullptr) {
    throw Error(ErrorCode::kResourceExhausted, "no memory for a request's headers");
  }
  static_cast<void>(list.release());
  list.reset(longer);
}

std::string lower_strerror(long error_number) {
  std::string text = system_error("", static_cast<int>(error_number)).message().substr(2);
  return lower(text);
}

HttpFailure classify(CURLcode code) {
  switch (code) {
    case CURLE_COULDNT_CONNECT:
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY: return HttpFailure::kRefused;
    case CURLE_OPERATION_TIMEDOUT: return HttpFailure::kTimedOut;
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_ISSUER_ERROR: return HttpFailure::kTls;
    default: return HttpFailure::kBroken;
  }
}

/// What happened, in the words that users of Docker search for.
std::string describe(CURLcode code, long error_number, std::string_view text, const std::string& host,
                     const HttpTimeouts& timeouts) {
  switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST: return fmt::format("dial tcp: lookup {}: no such host", host);
    case CURLE_OPERATION_TIMEDOUT:
      return fmt::format("dial tcp {}: i/o timeout: no connection within {} seconds", host,
                         static_cast<double>(timeouts.connect.count()) / 1000);
    case CURLE_COULDNT_CONNECT:
      if (error_number != 0) {
        return fmt::format("dial tcp {}: connect: {}", host, lower_strerror(error_number));
      }
      break;
    case CURLE_SSL_CONNECT_ERROR:
      if (text.find("wrong version number") != std::string_view::npos) {
        return "http: server gave HTTP response to HTTPS client";
      }
      break;
    case CURLE_PEER_FAILED_VERIFICATION: return fmt::format("x509: certificate is not trusted: {}", text);
    default: break;
  }
  return lower(text.empty() ? std::string_view(curl_easy_strerror(code)) : text);
}

}  // namespace

std::string_view HttpHead::header(std::string_view name) const {
  auto found = std::find_if(headers.begin(), headers.end(), [&](const auto& header) { return header.first == name; });
  return found == headers.end() ? std::string_view() : std::string_view(found->second);
}

std::optional<int64_t> HttpHead::content_length() const {
  std::string_view text = header("content-length");
  int64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  return !text.empty() && error == std::errc() && end == text.data() + text.size() && value >= 0 ? std::optional(value)
                                                                                                 : std::nullopt;
}

/// What curl's callbacks need, and what they found.
struct HttpClient::Transfer {
  const HttpRequest& request;
  const HttpTimeouts& timeouts;
  const CancelToken& cancel;
  HttpResponse response;
  std::exception_ptr thrown;
  std::string refused;  // a limit was passed: which
  bool stalled = false, cancelled = false, head_done = false;
  size_t header_bytes = 0;
  int64_t received = 0, window_received = 0;
  Clock::time_point window_start = Clock::now();

  void end_head() {
    if (head_done) {
      return;
    }
    head_done = true;
    if (request.on_head && has_content(response.head.status)) {
      request.on_head(response.head);
    }
  }

  void add_header(std::string_view line) {
    received += static_cast<int64_t>(line.size());
    header_bytes += line.size();
    if (header_bytes > kMaxHeaderBytes) {
      refused = fmt::format("response headers of more than {} bytes", kMaxHeaderBytes);
      throw Error(ErrorCode::kDataLoss, refused);
    }
    if (line.starts_with("HTTP/")) {  // also behind "100 Continue"
      response.head = {};
      size_t space = line.find(' ');
      if (space != std::string_view::npos) {
        std::from_chars(line.data() + space + 1, line.data() + line.size(), response.head.status);
      }
      return;
    }
    size_t colon = line.find(':');
    if (colon == std::string_view::npos) {
      return;
    }
    std::string_view value = line.substr(colon + 1);
    value.remove_prefix(std::min(value.find_first_not_of(" \t"), value.size()));
    value = value.substr(0, value.find_last_not_of(" \t\r\n") + 1);
    response.head.headers.emplace_back(lower(line.substr(0, colon)), value);
  }

  void add_body(std::string_view bytes) {
    received += static_cast<int64_t>(bytes.size());
    end_head();
    if (request.sink && has_content(response.head.status)) {
      Clock::time_point before = Clock::now();
      request.sink(bytes);
      window_start += Clock::now() - before;  // waiting for our own disk is not the peer's fault
      return;
    }
    if (response.body.size() + bytes.size() > request.max_body) {
      refused = fmt::format("response body of more than {} bytes", request.max_body);
      throw Error(ErrorCode::kDataLoss, refused);
    }
    response.body += bytes;
  }

  /// Called at least once a second.
  bool keep_going() {
    if (is_cancelled(cancel)) {
      cancelled = true;
      return false;
    }
    Clock::time_point now = Clock::now();
    if (now - window_start < timeouts.stall) {
      return true;
    }
    if (received - window_received < kMinProgress) {
      stalled = true;
      return false;
    }
    window_start = now;
    window_received = received;
    return true;
  }

  static size_t on_header(char* bytes, size_t size, size_t count, void* self) {
    return guarded(self, size * count, [&](Transfer& transfer) { transfer.add_header({bytes, size * count}); });
  }
  static size_t on_body(char* bytes, size_t size, size_t count, void* self) {
    return guarded(self, size * count, [&](Transfer& transfer) { transfer.add_body({bytes, size * count}); });
  }
  static int on_progress(void* self, curl_off_t /*total*/, curl_off_t /*now*/, curl_off_t /*up_total*/, curl_off_t /*up*/) {
    return static_cast<Transfer*>(self)->keep_going() ? 0 : 1;
  }

  /// No exception may pass through curl's C code.
  template <typename Body>
  static size_t guarded(void* self, size_t bytes, Body body) {
    auto& transfer = *static_cast<Transfer*>(self);
    try {
      body(transfer);
      return bytes;
    } catch (...) {
      transfer.thrown = std::current_exception();
      return bytes == 0 ? 1 : 0;
    }
  }
};

void HttpClient::Free::operator()(void* curl) const { curl_easy_cleanup(curl); }

HttpClient::HttpClient(const RegistryPolicy& policy, HttpTimeouts timeouts, CancelToken cancel)
    : policy_(policy), timeouts_(timeouts), cancel_(std::move(cancel)) {
  static std::once_flag once;
  std::call_once(once, [] { curl_global_init(CURL_GLOBAL_DEFAULT); });
  curl_.reset(curl_easy_init());
  if (!curl_) {
    throw Error(ErrorCode::kResourceExhausted, "start libcurl: no memory");
  }
}

HttpClient::~HttpClient() = default;

void HttpClient::configure_tls(const std::string& url) {
  std::string host = split_url(url).host_port;
  bool verify = !policy_.is_insecure(host);
  set(curl_.get(), CURLOPT_SSL_VERIFYPEER, verify ? 1L : 0L);
  set(curl_.get(), CURLOPT_SSL_VERIFYHOST, verify ? 2L : 0L);
  set(curl_.get(), CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  RegistryPolicy::Certificates certificates = policy_.certificates(host);
  authorities_ = std::move(certificates.authorities);
  if (!authorities_.empty()) {
    // The registry's own authorities beside the system's (which stay in force by the folder).
    curl_blob blob{.data = authorities_.data(), .len = authorities_.size(), .flags = CURL_BLOB_NOCOPY};
    set(curl_.get(), CURLOPT_CAINFO_BLOB, &blob);
    set(curl_.get(), CURLOPT_CAPATH, "/etc/ssl/certs");
    if (is_loopback_host(host)) {  // certificates were given: then they are meant
      set(curl_.get(), CURLOPT_SSL_VERIFYPEER, 1L);
      set(curl_.get(), CURLOPT_SSL_VERIFYHOST, 2L);
    }
  }
  if (!certificates.client_certificate.empty()) {
    set(curl_.get(), CURLOPT_SSLCERT, certificates.client_certificate.c_str());
    set(curl_.get(), CURLOPT_SSLKEY, certificates.client_key.c_str());
  }
}

HttpOutcome HttpClient::perform_once(const HttpRequest& request, const std::string& url, bool with_authorization) {
  throw_if_cancelled(cancel_);
  Transfer transfer{.request = request, .timeouts = timeouts_, .cancel = cancel_};
  void* curl = curl_.get();
  curl_easy_reset(curl);  // keeps connections
  set(curl, CURLOPT_URL, url.c_str());
  set(curl, CURLOPT_NOSIGNAL, 1L);
  set(curl, CURLOPT_FOLLOWLOCATION, 0L);
  set(curl, CURLOPT_PROTOCOLS_STR, "http,https");
  set(curl, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  set(curl, CURLOPT_HTTP09_ALLOWED, 0L);
  set(curl, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(timeouts_.connect.count()));
  set(curl, CURLOPT_BUFFERSIZE, 512L << 10);
  set(curl, CURLOPT_USERAGENT, "bulkhead/" BULKHEAD_VERSION);
  if (is_loopback_host(split_url(url).host_port)) {
    set(curl, CURLOPT_PROXY, "");  // a proxy's loopback is another machine's
  }
  configure_tls(url);
  set(curl, CURLOPT_HEADERFUNCTION, &Transfer::on_header);
  set(curl, CURLOPT_HEADERDATA, &transfer);
  set(curl, CURLOPT_WRITEFUNCTION, &Transfer::on_body);
  set(curl, CURLOPT_WRITEDATA, &transfer);
  set(curl, CURLOPT_XFERINFOFUNCTION, &Transfer::on_progress);
  set(curl, CURLOPT_XFERINFODATA, &transfer);
  set(curl, CURLOPT_NOPROGRESS, 0L);
  std::array<char, CURL_ERROR_SIZE> error_text{};
  set(curl, CURLOPT_ERRORBUFFER, error_text.data());
  HeaderList headers;
  for (const std::string& header : request.headers) {
    append(headers, header);
  }
  if (with_authorization && !request.authorization.empty()) {
    append(headers, "Authorization: " + request.authorization);
  }
  if (!request.form.empty()) {
    set(curl, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request.form.size()));
    set(curl, CURLOPT_POSTFIELDS, request.form.c_str());
  }
  set(curl, CURLOPT_HTTPHEADER, headers.get());

  CURLcode code = curl_easy_perform(curl);
  if (code == CURLE_OK) {
    try {
      transfer.end_head();  // of a response without a body
    } catch (...) {
      transfer.thrown = std::current_exception();
    }
  }
  HttpOutcome outcome;
  outcome.response = std::move(transfer.response);
  if (transfer.cancelled) {
    throw_if_cancelled(cancel_);
  }
  if (!transfer.refused.empty()) {
    outcome.failure = HttpFailure::kPolicy;
    outcome.message = transfer.refused;
  } else if (transfer.thrown) {
    std::rethrow_exception(transfer.thrown);
  } else if (transfer.stalled) {
    outcome.failure = HttpFailure::kTimedOut;
    outcome.message = fmt::format("timeout: the registry sent nothing for {} seconds", timeouts_.stall.count() / 1000);
  } else if (code != CURLE_OK) {
    long error_number = 0;
    curl_easy_getinfo(curl, CURLINFO_OS_ERRNO, &error_number);
    outcome.failure = classify(code);
    outcome.message = describe(code, error_number, error_text.data(), split_url(url).host_port, timeouts_);
  }
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, nullptr);
  return outcome;
}

HttpOutcome HttpClient::perform(const HttpRequest& request) {
  std::string url = request.url;
  UrlParts first = split_url(url);
  bool same_host = true;
  for (int hops = 0;; ++hops) {
    UrlParts here = split_url(url);
    same_host = same_host && here.origin == first.origin;
    auto refuse = [&](std::string reason) {
      return HttpOutcome{.failure = HttpFailure::kPolicy, .message = std::move(reason), .response = {}};
    };
    // SECURITY: the registry chooses where it sends us: never to plain HTTP unless that is allowed for the host and TLS was not
    // in use before, and from outside never to this machine's own services.
    if (here.host_port.empty()) {
      return refuse(fmt::format("redirect to '{}', which is no http(s) URL", url.substr(0, 200)));
    }
    if (here.scheme == "http" && (first.scheme == "https" || !policy_.is_insecure(here.host_port))) {
      return refuse(fmt::format("plain HTTP to '{}' is refused", here.host_port));
    }
    if (is_loopback_host(here.host_port) && !is_loopback_host(first.host_port)) {
      return refuse(fmt::format("redirect to this machine ('{}') is refused", here.host_port));
    }
    // SECURITY: credentials go to the host they are for alone, also where a redirect comes back to it (CVE-2018-1000007 and
    // kin).
    HttpOutcome outcome = perform_once(request, url, same_host);
    if (outcome.failure != HttpFailure::kNone || !is_redirect(outcome.response.head.status) || !request.form.empty()) {
      return outcome;
    }
    if (hops == kMaxRedirects) {
      return refuse(fmt::format("more than {} redirects", kMaxRedirects));
    }
    url = resolve_url(url, std::string(outcome.response.head.header("location")));
  }
}

void throw_http_failure(const std::string& url, const HttpOutcome& outcome) {
  ErrorCode code = ErrorCode::kUnavailable;
  switch (outcome.failure) {
    case HttpFailure::kTimedOut: code = ErrorCode::kDeadlineExceeded; break;
    case HttpFailure::kTls: code = ErrorCode::kPermissionDenied; break;
    case HttpFailure::kPolicy: code = ErrorCode::kDataLoss; break;
    default: break;
  }
  throw Error(code, fmt::format("Get \"{}\": {}", url, outcome.message));
}

}  // namespace bulkhead::image
