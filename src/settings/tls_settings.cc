#include "settings/tls_settings.h"

#include <fmt/format.h>

#include <string_view>
#include <tuple>

#include "support/error.h"

namespace bulkhead::settings {
namespace {

Error invalid(std::string message) { return {ErrorCode::kInvalidArgument, std::move(message)}; }

template <typename Value>
void add(Value& setting, const Value& option, bool is_set, bool is_given, std::string_view directive) {
  if (is_set && is_given) {
    throw invalid(fmt::format("'{0}' is set both by --{0} and in the file of settings: take one away", directive));
  }
  if (is_given) {
    setting = option;
  }
}

void add_path(std::string& setting, const std::string& option, std::string_view directive) {
  add(setting, option, !setting.empty(), !option.empty(), directive);
}

}  // namespace

void add_tls_options(TlsSettings& settings, const TlsSettings& options) {
  add(settings.tls, options.tls, settings.tls.has_value(), options.tls.has_value(), "tls");
  add(settings.verify, options.verify, settings.verify.has_value(), options.verify.has_value(), "tlsverify");
  add_path(settings.ca, options.ca, "tlscacert");
  add_path(settings.certificate, options.certificate, "tlscert");
  add_path(settings.key, options.key, "tlskey");
}

bool verifies_clients(const TlsSettings& settings) {
  bool verifies = settings.verify.value_or(false);
  bool has_files = !settings.ca.empty() || !settings.certificate.empty() || !settings.key.empty();
  if (!verifies && (settings.tls.value_or(false) || has_files)) {
    throw invalid(
        "TLS without tlsverify encrypts, and lets in everybody who reaches the port: whoever is in is root on this host; add "
        "--tlsverify with --tlscacert (in daemon.json: \"tlsverify\": true)");
  }
  if (verifies && !settings.tls.value_or(true)) {
    throw invalid("'tls' is false, and 'tlsverify' is true: take one away");
  }
  for (const auto& [path, directive, text] :
       {std::tuple{&settings.ca, "tlscacert", "the CA's certificate, which signs those of clients"},
        {&settings.certificate, "tlscert", "the engine's own certificate"},
        {&settings.key, "tlskey", "the engine's own key"}}) {
    if (verifies && path->empty()) {
      throw invalid(fmt::format("--tlsverify needs --{} FILE: {}", directive, text));
    }
  }
  return verifies;
}

}  // namespace bulkhead::settings
