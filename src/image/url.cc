#include <curl/curl.h>
#include <fmt/format.h>

#include <memory>

#include "image/http_client.h"

namespace bulkhead::image {
namespace {

struct FreeUrl {
  void operator()(CURLU* url) const { curl_url_cleanup(url); }
};
struct FreeText {
  void operator()(char* text) const { curl_free(text); }
};
using Url = std::unique_ptr<CURLU, FreeUrl>;

std::string part(CURLU* url, CURLUPart which, unsigned int flags = 0) {
  char* raw = nullptr;
  CURLUcode code = curl_url_get(url, which, &raw, flags);
  std::unique_ptr<char, FreeText> text(raw);
  return code == CURLUE_OK && text ? std::string(text.get()) : std::string();
}

}  // namespace

UrlParts split_url(const std::string& text) {
  Url url(curl_url());
  // SECURITY: "https://registry@evil/" must not be taken for the registry.
  if (!url || curl_url_set(url.get(), CURLUPART_URL, text.c_str(), CURLU_DISALLOW_USER) != CURLUE_OK) {
    return {};
  }
  UrlParts parts;
  parts.scheme = part(url.get(), CURLUPART_SCHEME);
  if (parts.scheme != "http" && parts.scheme != "https") {
    return {};
  }
  std::string host = part(url.get(), CURLUPART_HOST);
  std::string port = part(url.get(), CURLUPART_PORT);
  parts.host_port = port.empty() ? host : host + ":" + port;
  parts.origin = fmt::format("{}://{}:{}", parts.scheme, host, part(url.get(), CURLUPART_PORT, CURLU_DEFAULT_PORT));
  return parts;
}

std::string resolve_url(const std::string& base, const std::string& location) {
  Url url(curl_url());
  if (!url || location.empty() || curl_url_set(url.get(), CURLUPART_URL, base.c_str(), 0) != CURLUE_OK ||
      curl_url_set(url.get(), CURLUPART_URL, location.c_str(), 0) != CURLUE_OK) {
    return "";
  }
  return part(url.get(), CURLUPART_URL);
}

std::string url_encode(std::string_view text) {
  std::string result;
  for (char c : text) {
    bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
                 c == '.' || c == '~';
    result += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return result;
}

}  // namespace bulkhead::image
