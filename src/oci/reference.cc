#include "oci/reference.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "oci/digest.h"
#include "support/error.h"

namespace bulkhead::oci {
namespace {

constexpr std::string_view kDefaultDomain = "docker.io";
constexpr std::string_view kLegacyDomain = "index.docker.io";
constexpr std::string_view kOfficialPrefix = "library/";
constexpr size_t kMaxName = 255;

bool is_lower_or_digit(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9'); }
bool is_upper(char c) { return c >= 'A' && c <= 'Z'; }
bool is_alphanumeric(char c) { return is_lower_or_digit(c) || is_upper(c); }
bool has_upper(std::string_view text) { return std::any_of(text.begin(), text.end(), is_upper); }

[[noreturn]] void invalid(std::string_view reason = "") {
  throw Error(ErrorCode::kInvalidArgument, fmt::format("invalid reference format{}{}", reason.empty() ? "" : ": ", reason));
}

/// [a-z0-9]+ joined by ".", "_", "__" or any number of "-".
bool is_path_component(std::string_view text) {
  size_t i = 0;
  auto word = [&] {
    size_t start = i;
    while (i < text.size() && is_lower_or_digit(text[i])) {
      ++i;
    }
    return i > start;
  };
  if (!word()) {
    return false;
  }
  while (i < text.size()) {
    char separator = text[i];
    size_t start = i;
    while (i < text.size() && text[i] == separator) {
      ++i;
    }
    size_t count = i - start;
    bool fits = separator == '-' || (separator == '.' && count == 1) || (separator == '_' && count <= 2);
    if (!fits || !word()) {
      return false;
    }
  }
  return true;
}

bool is_path(std::string_view path) {
  for (;;) {
    size_t slash = path.find('/');
    if (!is_path_component(path.substr(0, slash))) {
      return false;
    }
    if (slash == std::string_view::npos) {
      return true;
    }
    path.remove_prefix(slash + 1);
  }
}

bool is_host_name(std::string_view host) {
  for (;;) {
    std::string_view label = host.substr(0, host.find('.'));
    if (label.empty() || !is_alphanumeric(label.front()) || !is_alphanumeric(label.back()) ||
        !std::all_of(label.begin(), label.end(), [](char c) { return is_alphanumeric(c) || c == '-'; })) {
      return false;
    }
    if (label.size() == host.size()) {
      return true;
    }
    host.remove_prefix(label.size() + 1);
  }
}

/// A host name, an IPv4 address or a bracketed IPv6 address, with an optional port.
bool is_domain(std::string_view domain) {
  std::string_view port;
  if (domain.starts_with('[')) {
    size_t close = domain.find(']');
    if (close == std::string_view::npos || close < 2 ||
        !std::all_of(domain.begin() + 1, domain.begin() + static_cast<std::ptrdiff_t>(close),
                     [](char c) { return std::isxdigit(static_cast<unsigned char>(c)) != 0 || c == ':'; })) {
      return false;
    }
    port = domain.substr(close + 1);
    if (port.empty()) {
      return true;
    }
  } else {
    size_t colon = domain.find(':');
    if (!is_host_name(domain.substr(0, colon))) {
      return false;
    }
    if (colon == std::string_view::npos) {
      return true;
    }
    port = domain.substr(colon);
  }
  return port.size() >= 2 && port.size() <= 6 && port[0] == ':' &&
         std::all_of(port.begin() + 1, port.end(), [](char c) { return c >= '0' && c <= '9'; });
}

/// Docker's rule for the first component: it is a host where it has a dot, a colon or an upper-case letter, or is "localhost".
void split_domain(std::string_view text, Reference& reference) {
  size_t slash = text.find('/');
  std::string_view first = text.substr(0, slash);
  bool is_host = slash != std::string_view::npos &&
                 (first.find_first_of(".:") != std::string_view::npos || first == "localhost" || has_upper(first));
  reference.domain = is_host ? first : kDefaultDomain;
  reference.path = is_host ? text.substr(slash + 1) : text;
  if (reference.domain == kLegacyDomain) {
    reference.domain = kDefaultDomain;
  }
  if (reference.domain == kDefaultDomain && reference.path.find('/') == std::string::npos) {
    reference.path.insert(0, kOfficialPrefix);
  }
}

}  // namespace

bool is_valid_tag(std::string_view tag) {
  auto word = [](char c) { return is_alphanumeric(c) || c == '_'; };
  return !tag.empty() && tag.size() <= 128 && word(tag[0]) &&
         std::all_of(tag.begin(), tag.end(), [&](char c) { return word(c) || c == '.' || c == '-'; });
}

bool is_full_id(std::string_view text) {
  return text.size() == 64 &&
         std::all_of(text.begin(), text.end(), [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

Reference parse_reference(std::string_view text) {
  if (text.empty()) {
    invalid();
  }
  if (is_full_id(text)) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("invalid repository name ({}), cannot specify 64-byte hexadecimal strings", text));
  }
  Reference reference;
  if (size_t at = text.find('@'); at != std::string_view::npos) {
    std::string_view digest = text.substr(at + 1);
    if (digest.find(':') == std::string_view::npos) {
      invalid();
    }
    reference.digest = Digest::parse(digest).text();
    text = text.substr(0, at);
  }
  // The tag's colon stands behind the last slash: one before it belongs to a port.
  size_t last_slash = text.rfind('/');
  size_t colon = text.find(':', last_slash == std::string_view::npos ? 0 : last_slash);
  if (colon != std::string_view::npos) {
    reference.tag = text.substr(colon + 1);
    text = text.substr(0, colon);
    if (!is_valid_tag(reference.tag)) {
      invalid();
    }
  }
  split_domain(text, reference);
  if (!is_domain(reference.domain)) {
    invalid();
  }
  if (has_upper(reference.path)) {
    invalid("repository name must be lowercase");
  }
  if (!is_path(reference.path)) {
    invalid();
  }
  if (reference.name().size() > kMaxName) {
    throw Error(ErrorCode::kInvalidArgument, "repository name must not be more than 255 characters");
  }
  return reference;
}

std::string Reference::familiar_name() const {
  if (domain != kDefaultDomain) {
    return name();
  }
  std::string_view rest = path;
  if (rest.starts_with(kOfficialPrefix) && rest.find('/', kOfficialPrefix.size()) == std::string_view::npos) {
    rest.remove_prefix(kOfficialPrefix.size());
  }
  return std::string(rest);
}

std::string Reference::familiar() const {
  return familiar_name() + (tag.empty() ? "" : ":" + tag) + (digest.empty() ? "" : "@" + digest);
}

std::string Reference::text() const { return name() + (tag.empty() ? "" : ":" + tag) + (digest.empty() ? "" : "@" + digest); }

Reference Reference::with_default_tag() const {
  Reference copy = *this;
  if (copy.is_name_only()) {
    copy.tag = "latest";
  }
  return copy;
}

}  // namespace bulkhead::oci
