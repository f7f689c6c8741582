// Reading the engine's answers: a field that is absent, null or of another type is empty, zero or false, never an error. An
// older or newer engine may leave out what this client would like to show.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace bulkhead::cli {

/// The field, or a null that lives for ever. Iterating over null yields nothing.
const nlohmann::json& field(const nlohmann::json& object, const char* key);
std::string text_at(const nlohmann::json& object, const char* key);
int64_t number_at(const nlohmann::json& object, const char* key);
bool flag_at(const nlohmann::json& object, const char* key);
/// The strings of a list.
std::vector<std::string> texts_at(const nlohmann::json& object, const char* key);

/// A field without which nothing can go on: throws kDataLoss naming it.
std::string required_text(const nlohmann::json& object, const char* key);

}  // namespace bulkhead::cli
