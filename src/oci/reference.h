// Names of images as users write them and as Docker normalises them: "debian" is docker.io/library/debian:latest, and
// "host:5000/a/b@sha256:..." names a manifest in another registry. Pure data and parsing.
#pragma once

#include <string>
#include <string_view>

namespace bulkhead::oci {

struct Reference {
  std::string domain;  // "docker.io", "127.0.0.1:5000"
  std::string path;    // "library/debian"
  std::string tag;     // "" where none was given
  std::string digest;  // "sha256:<hex>", "" where none was given

  /// "docker.io/library/debian".
  std::string name() const { return domain + "/" + path; }
  /// "debian", "127.0.0.1:5000/debian": what Docker shows.
  std::string familiar_name() const;
  /// The familiar name with tag and digest as far as they are given.
  std::string familiar() const;
  /// The full form with tag and digest: a unique key.
  std::string text() const;
  bool is_name_only() const { return tag.empty() && digest.empty(); }
  /// Itself, or with the tag "latest" where it has neither tag nor digest.
  Reference with_default_tag() const;
};

/// Throws kInvalidArgument in Docker's words: "invalid reference format", "... repository name must be lowercase", ...
Reference parse_reference(std::string_view text);
bool is_valid_tag(std::string_view tag);
/// 64 hexadecimal digits: an image id, which no repository may be called.
bool is_full_id(std::string_view text);

}  // namespace bulkhead::oci
