// POST /auth: whether a registry takes these credentials. Nothing is kept: the client sends them with each pull.
#include <nlohmann/json.hpp>

#include "api/handlers.h"
#include "image/image_store.h"

namespace bulkhead::api {

void auth_check(Request& request) {
  nlohmann::json body = read_json(request);
  auto text = [&](const char* name) {
    auto found = body.find(name);
    return found != body.end() && found->is_string() ? found->get<std::string>() : std::string();
  };
  request.engine.images().check_credentials(text("serveraddress"), {.username = text("username"),
                                                                    .password = text("password"),
                                                                    .identity_token = text("identitytoken"),
                                                                    .registry_token = text("registrytoken")});
  answer_json(request, 200, {{"Status", "Login Succeeded"}, {"IdentityToken", ""}});
}

}  // namespace bulkhead::api
