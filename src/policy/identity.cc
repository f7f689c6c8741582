#include "policy/identity.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>

#include "support/error.h"

namespace bulkhead::policy {
namespace {

[[noreturn]] void refuse(const std::string& why) { throw Error(ErrorCode::kPermissionDenied, why); }

/// SECURITY: the request's own label only. An image's labels are its maker's: they would let an image choose its neighbours.
std::string labelled(const NameSource& source, const Request& request) {
  auto found = request.labels.find(source.label);
  if (found == request.labels.end() || found->second.empty()) {
    return "";
  }
  if (!is_valid_name(found->second)) {
    refuse(fmt::format("the label {} is no name: it takes up to 63 letters, digits, '.', '_' and '-'", source.label));
  }
  return found->second;
}

std::string or_fallback(const NameSource& source, std::string_view kind, const std::string& name) {
  if (!name.empty()) {
    return name;
  }
  if (source.unlabelled == Unlabelled::kRefused) {
    refuse(fmt::format("the container names no {}: say which with --label {}=NAME", kind, source.label));
  }
  return source.unlabelled == Unlabelled::kNamed ? source.fallback : "";
}

/// What a bound caller gets: what the label says where that is one of its own.
std::string bound(const NameSource& source, std::string_view kind, const Names& names, const std::string& said,
                  const Caller& caller) {
  if (names.any) {
    return or_fallback(source, kind, said);
  }
  if (said.empty() && names.names.size() == 1) {
    return *names.names.begin();
  }
  if (said.empty()) {
    refuse(fmt::format("{} has several {}s ({}): say which with --label {}=NAME", caller.text(), kind,
                       fmt::join(names.names, ", "), source.label));
  }
  if (!names.names.contains(said)) {
    refuse(fmt::format("{} may not create containers of the {} '{}'", caller.text(), kind, said));
  }
  return said;
}

const CallerRule* rule_of(const IdentityRules& rules, const Caller& caller) {
  auto found = std::find_if(rules.callers.begin(), rules.callers.end(), [&](const CallerRule& rule) {
    return (caller.uid && rule.uids.contains(*caller.uid)) ||
           (!caller.tls_name.empty() && rule.tls_names.contains(caller.tls_name));
  });
  return found == rules.callers.end() ? nullptr : &*found;
}

bool is_bound(const IdentityRules& rules, const std::string& tenant) {
  return std::any_of(rules.callers.begin(), rules.callers.end(),
                     [&](const CallerRule& rule) { return rule.tenants.names.contains(tenant); });
}

Identity of_unlisted(const IdentityRules& rules, const Request& request, const Identity& said) {
  if (rules.unlisted == Unlisted::kRefused) {
    refuse(fmt::format("the policy does not know {}: it is not among its callers", request.caller.text()));
  }
  Identity identity = {.tenant = or_fallback(rules.tenants, "tenant", said.tenant),
                       .environment = or_fallback(rules.environments, "environment", said.environment)};
  // SECURITY: or an unknown caller could move in with a known one by a label.
  if (is_bound(rules, identity.tenant)) {
    refuse(fmt::format("the tenant '{}' belongs to other callers than {}", identity.tenant, request.caller.text()));
  }
  return identity;
}

}  // namespace

void name_identity(const IdentityRules& rules, const Identity& identity, Request& request) {
  for (const auto& [label, name] :
       {std::pair(&rules.tenants.label, &identity.tenant), std::pair(&rules.environments.label, &identity.environment)}) {
    if (name->empty()) {
      request.labels.erase(*label);
    } else {
      request.labels[*label] = *name;
    }
  }
}

bool is_valid_name(std::string_view name) {
  auto is_word = [](unsigned char letter) { return letter < 0x80 && std::isalnum(letter) != 0; };
  return !name.empty() && name.size() <= 63 && name != "any" && name != "none" && is_word(name.front()) &&
         std::all_of(name.begin(), name.end(),
                     [&](char letter) { return is_word(letter) || letter == '.' || letter == '_' || letter == '-'; });
}

Identity identify(const IdentityRules& rules, const Request& request) {
  Identity said = {.tenant = labelled(rules.tenants, request), .environment = labelled(rules.environments, request)};
  for (const auto& [source, name] : {std::pair{&rules.tenants, &said.tenant}, {&rules.environments, &said.environment}}) {
    if (!name->empty() && !source->allowed.empty() && !source->allowed.contains(*name)) {
      refuse(fmt::format("the label {}={} is none of {}", source->label, *name, fmt::join(source->allowed, ", ")));
    }
  }
  if (rules.callers.empty()) {
    return {.tenant = or_fallback(rules.tenants, "tenant", said.tenant),
            .environment = or_fallback(rules.environments, "environment", said.environment)};
  }
  const CallerRule* rule = rule_of(rules, request.caller);
  if (rule == nullptr) {
    return of_unlisted(rules, request, said);
  }
  return {.tenant = bound(rules.tenants, "tenant", rule->tenants, said.tenant, request.caller),
          .environment = bound(rules.environments, "environment", rule->environments, said.environment, request.caller)};
}

}  // namespace bulkhead::policy
