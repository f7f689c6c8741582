// The sections of a runtime spec, each read and written by its own file. Private to src/oci.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>

#include "oci/runtime_spec.h"

namespace bulkhead::oci {

class JsonReader;

Process read_process(const JsonReader& reader);
Linux read_linux(const JsonReader& reader);
Resources read_resources(const JsonReader& reader);
Seccomp read_seccomp(const JsonReader& reader);

nlohmann::json write_process(const Process& process);
nlohmann::json write_linux(const Linux& section);
nlohmann::json write_resources(const Resources& resources);
nlohmann::json write_seccomp(const Seccomp& seccomp);

template <typename Json, typename Container>
void put_unless_empty(Json& json, const char* key, const Container& value) {
  if (!value.empty()) {
    json[key] = value;
  }
}

template <typename Json, typename T>
void put_if_set(Json& json, const char* key, const std::optional<T>& value) {
  if (value) {
    json[key] = *value;
  }
}

}  // namespace bulkhead::oci
