// The kinds of isolation that this executable has, by the name that a container asks for with the annotation
// `org.bulkhead.isolation` ("process" where absent). Filled by main().
#pragma once

#include <filesystem>
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
  /// `cache_folder`: what all walls of one instance share, and where their settings are.
  using Factory = std::function<std::unique_ptr<sandbox::Isolation>(const std::filesystem::path& cache_folder)>;

  void add(std::string name, Factory factory) { factories_[std::move(name)] = std::move(factory); }
  /// kInvalidArgument for a kind that doesn't exist.
  std::unique_ptr<sandbox::Isolation> make(const oci::Spec& spec, const std::filesystem::path& cache_folder) const;
  /// A JSON object: for each kind by its name what it can and whether it can be made here (task::IsolationDescription).
  std::string describe(const std::filesystem::path& cache_folder) const;

 private:
  std::map<std::string, Factory> factories_;
};

/// Throws kNotSupported naming what the spec asks for and this kind can't do by its nature.
void check_capabilities(const oci::Spec& spec, const sandbox::Capabilities& capabilities);

}  // namespace bulkhead::shim
