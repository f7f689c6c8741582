// What a registry wants to see before it answers: the challenges of WWW-Authenticate (RFC 7235; distribution's "Token
// Authentication Specification") and the Authorization value that satisfies them. Parsing is pure.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "image/http_client.h"
#include "image/image_store.h"

namespace bulkhead::image {

struct AuthChallenge {
  std::string scheme;                             // lower case: "bearer", "basic"
  std::map<std::string, std::string> parameters;  // names in lower case
};

/// The challenges of one header; what isn't well-formed ends the list.
std::vector<AuthChallenge> parse_challenges(std::string_view header);

/// "Basic <base64>".
std::string basic_authorization(const std::string& username, const std::string& password);

/// Fetches a token for `scope` ("repository:a/b:pull") from the challenge's realm. Returns "Bearer <token>".
/// Throws kUnauthenticated or what the connection ran into, naming the realm.
std::string fetch_bearer_authorization(HttpClient& http, const RegistryPolicy& policy, const std::string& registry_url,
                                       const AuthChallenge& challenge, const std::string& scope,
                                       const std::optional<Credentials>& credentials);

}  // namespace bulkhead::image
