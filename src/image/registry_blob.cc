// Blobs of a registry: streamed, verified, resumed.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>

#include "image/registry_errors.h"
#include "image/registry_session.h"
#include "support/error.h"

namespace bulkhead::image {
namespace {

constexpr int kMaxAttempts = 6;  // the first and five more
// A try that brought this much is worth another from the start of the count: a long transfer over a poor line goes on.
constexpr int64_t kWorthwhile = 1L << 20;

/// "bytes 100-199/200" -> {100, 200}; -1 for what isn't there.
std::pair<int64_t, int64_t> parse_content_range(std::string_view text) {
  int64_t start = -1;
  int64_t total = -1;
  constexpr std::string_view kUnit = "bytes ";
  size_t slash = text.find('/');
  if (!text.starts_with(kUnit) || slash == std::string_view::npos) {
    return {start, total};
  }
  std::from_chars(text.data() + kUnit.size(), text.data() + slash, start);
  std::from_chars(text.data() + slash + 1, text.data() + text.size(), total);
  return {start, total};
}

}  // namespace

/// One blob over as many responses as it takes.
struct RegistrySession::BlobTransfer {
  const oci::Descriptor& descriptor;
  const std::function<void(std::string_view)>& sink;
  oci::Hasher hasher;
  int64_t offset = 0;  // bytes taken so far
  int64_t ignore = 0;  // bytes of this response that are known already

  [[noreturn]] void refuse(std::string_view reason) const {
    throw Error(ErrorCode::kDataLoss, fmt::format("blob {}: {}", descriptor.digest.text(), reason));
  }

  void begin(const HttpHead& head) {
    ignore = 0;
    std::optional<int64_t> length = head.content_length();
    if (head.status == 206) {
      auto [start, total] = parse_content_range(head.header("content-range"));
      if (start != offset || (total != -1 && total != descriptor.size)) {
        refuse(fmt::format("the registry answered with another part than that from byte {}", offset));
      }
    } else {
      // The server ignores Range: it starts over. What is known already is skipped; a difference shows in the digest.
      ignore = offset;
    }
    int64_t expected = descriptor.size - offset + ignore;
    if (length && *length > expected) {
      refuse(fmt::format("the registry sends {} bytes, where the manifest says {}", *length, expected));
    }
  }

  void take(std::string_view bytes) {
    auto skipped = static_cast<size_t>(std::min<int64_t>(ignore, static_cast<int64_t>(bytes.size())));
    ignore -= static_cast<int64_t>(skipped);
    bytes.remove_prefix(skipped);
    if (static_cast<int64_t>(bytes.size()) > descriptor.size - offset) {
      refuse(fmt::format("the registry sends more than the {} bytes that the manifest says", descriptor.size));
    }
    hasher.update(bytes);
    offset += static_cast<int64_t>(bytes.size());
    if (!bytes.empty()) {
      sink(bytes);
    }
  }
};

void RegistrySession::blob(HttpClient& http, const oci::Descriptor& descriptor,
                           const std::function<void(std::string_view)>& sink, const std::function<void(int)>& retrying) {
  BlobTransfer transfer{.descriptor = descriptor, .sink = sink, .hasher = oci::Hasher(descriptor.digest.algorithm())};
  HttpRequest request;
  request.url = fmt::format("{}{}/blobs/{}", base_, reference_.path, descriptor.digest.text());
  request.on_head = [&](const HttpHead& head) { transfer.begin(head); };
  request.sink = [&](std::string_view bytes) { transfer.take(bytes); };
  for (int attempt = 1; transfer.offset < descriptor.size; ++attempt) {
    int64_t before = transfer.offset;
    request.headers = {"Accept: */*"};
    if (transfer.offset > 0) {
      request.headers.push_back(fmt::format("Range: bytes={}-", transfer.offset));
    }
    HttpOutcome outcome = get(http, request);
    int status = outcome.response.head.status;
    bool arrived = outcome.failure == HttpFailure::kNone && (status == 200 || status == 206);
    if (transfer.offset == descriptor.size) {
      break;
    }
    if (arrived) {
      outcome.failure = HttpFailure::kBroken;
      outcome.message = fmt::format("unexpected end after {} of {} bytes", transfer.offset, descriptor.size);
    }
    bool server_trouble = outcome.failure == HttpFailure::kNone && (status >= 500 || status == 429);
    bool again = server_trouble || outcome.failure == HttpFailure::kBroken ||
                 (outcome.failure == HttpFailure::kRefused && transfer.offset > 0);
    if (transfer.offset - before >= kWorthwhile) {
      attempt = 1;
    }
    if (!again || attempt == kMaxAttempts) {
      if (outcome.failure != HttpFailure::kNone) {
        throw_http_failure(request.url, outcome);
      }
      throw Error(status == 404 ? ErrorCode::kNotFound : ErrorCode::kUnavailable,
                  fmt::format("Get \"{}\": {}", request.url, parse_registry_error(outcome.response).text));
    }
    std::chrono::milliseconds pause = retry_delay_ * (1 << (attempt - 1));
    if (retrying) {
      retrying(static_cast<int>(std::max<int64_t>(1, pause.count() / 1000)));
    }
    sleep_unless_cancelled(pause, cancel_);
  }
  if (transfer.hasher.finish() != descriptor.digest) {
    throw Error(ErrorCode::kDataLoss,
                fmt::format("filesystem layer verification failed for digest {}", descriptor.digest.text()));
  }
}

std::string RegistrySession::small_blob(HttpClient& http, const oci::Descriptor& descriptor, size_t limit) {
  if (descriptor.size > static_cast<int64_t>(limit)) {
    throw Error(ErrorCode::kDataLoss, fmt::format("blob {} of {} bytes is larger than the limit of {}",
                                                  descriptor.digest.text(), descriptor.size, limit));
  }
  std::string bytes;
  blob(http, descriptor, [&](std::string_view piece) { bytes += piece; });
  return bytes;
}

}  // namespace bulkhead::image
