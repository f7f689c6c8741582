// The kinds of isolation that this executable has, by the name that a container asks for with the annotation
// `org.bulkhead.isolation` ("process" where absent). Filled by main().
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "oci/runtime_spec.h"
#include "sandbox/sandbox.h"

namespace bulkhead::shim {

inline constexpr const char* kIsolationAnnotation = "org.bulkhead.isolation";

class IsolationRegistry {
 public:
  using Factory = std::function<std::unique_ptr<sandbox::Isolation>()>;

  void add(std::string name, Factory factory) { factories_[std::move(name)] = std::move(factory); }
  /// kNotSupported for a kind that isn't there yet, kInvalidArgument for one that doesn't exist.
  std::unique_ptr<sandbox::Isolation> make(const oci::Spec& spec) const;

 private:
  std::map<std::string, Factory> factories_;
};

/// Throws kNotSupported naming what the spec asks for and this kind can't do by its nature.
void check_capabilities(const oci::Spec& spec, const sandbox::Capabilities& capabilities);

}  // namespace bulkhead::shim
