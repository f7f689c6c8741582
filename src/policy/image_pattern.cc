#include "policy/image_pattern.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "support/error.h"

namespace bulkhead::policy {
namespace {

std::string lower(std::string_view text) {
  std::string result(text);
  std::transform(result.begin(), result.end(), result.begin(),
                 [](unsigned char letter) { return static_cast<char>(std::tolower(letter)); });
  return result;
}

[[noreturn]] void refuse(std::string_view text, std::string_view why) {
  throw Error(ErrorCode::kInvalidArgument, fmt::format("'{}' is no pattern of images: {}", text, why));
}

bool is_reference(const std::string& text) {
  try {
    oci::parse_reference(text);
    return true;
  } catch (const Error&) {
    return false;
  }
}

/// A digest can't be tried with its wildcards standing for one letter.
bool is_digest(std::string_view digest) {
  auto fits = [](char letter) {
    return (letter >= '0' && letter <= '9') || (letter >= 'a' && letter <= 'z') || letter == ':' || letter == '*' ||
           letter == '?';
  };
  return digest.find_first_of("*?") != std::string_view::npos ? std::all_of(digest.begin(), digest.end(), fits)
                                                              : is_reference(fmt::format("name@{}", digest));
}

/// Docker's rule for what names a registry, and a wildcard, which may stand for one.
bool names_registry(std::string_view part) {
  return part.find_first_of(".:*?") != std::string_view::npos || part == "localhost";
}

}  // namespace

std::string canonical_registry(std::string_view domain) {
  std::string registry = lower(domain);
  // SECURITY: "evil.example:443" is evil.example: no rule about one may be evaded by writing the other.
  if (registry.ends_with(":443")) {
    registry.resize(registry.size() - 4);
  }
  return registry == "index.docker.io" || registry == "registry-1.docker.io" ? "docker.io" : registry;
}

ImagePattern::ImagePattern(std::string_view text) {
  std::string_view rest = text;
  if (rest == "*" || rest == "**") {
    everything_ = true;
    return;
  }
  if (size_t at = rest.find('@'); at != std::string_view::npos) {
    if (!is_digest(rest.substr(at + 1))) {
      refuse(text, "what follows the @ is no digest, such as sha256:... with 64 hexadecimal digits, nor a pattern of one");
    }
    digest_.emplace(rest.substr(at + 1), Wildcards::kText);
    rest = rest.substr(0, at);
  }
  size_t slash = rest.rfind('/');
  if (size_t colon = rest.find(':', slash == std::string_view::npos ? 0 : slash); colon != std::string_view::npos) {
    tag_.emplace(rest.substr(colon + 1), Wildcards::kText);
    rest = rest.substr(0, colon);
  }
  if (rest.find_first_of(" \t\n") != std::string_view::npos || rest.empty() || rest.front() == '/' || rest.back() == '/') {
    refuse(text, "write it as a reference such as registry.example/team/*:1.*");
  }
  slash = rest.find('/');
  std::string_view first = rest.substr(0, slash);
  bool has_registry = slash != std::string_view::npos && names_registry(first);
  registry_.emplace(canonical_registry(has_registry ? first : "docker.io"), Wildcards::kText);
  std::string path(has_registry ? rest.substr(slash + 1) : rest);
  if (canonical_registry(has_registry ? first : "docker.io") == "docker.io" && path.find('/') == std::string::npos &&
      path != "**") {
    path.insert(0, "library/");
  }
  if (lower(path) != path) {
    refuse(text, "the names of repositories are lower case");
  }
  if (!can_match(text.substr(0, text.find('@')), is_reference)) {
    refuse(text, "no image can have such a name; write it as a reference such as registry.example/team/*:1.*");
  }
  if (digest_ && tag_ && !tag_->matches("")) {
    refuse(text, "beside a digest a tag says nothing of what runs: leave it out");
  }
  path_.emplace(path, Wildcards::kPath);
}

bool ImagePattern::matches(const oci::Reference& reference) const {
  if (everything_) {
    return true;
  }
  if (!registry_->matches(canonical_registry(reference.domain)) || !path_->matches(reference.path)) {
    return false;
  }
  if (digest_ && !digest_->matches(reference.digest)) {
    return false;
  }
  if (!tag_) {
    return true;
  }
  // SECURITY: beside a digest a tag is decoration (it isn't looked up): it says nothing about what runs.
  std::string tag = !reference.digest.empty() ? "" : reference.tag.empty() ? "latest" : reference.tag;
  return tag_->matches(tag);
}

}  // namespace bulkhead::policy
