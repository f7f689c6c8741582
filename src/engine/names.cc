#include "engine/names.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cctype>
#include <random>

#include "support/error.h"

namespace bulkhead::engine {
namespace {

constexpr std::array kQualities = {
    "amber", "azure", "bold",   "brave",  "bright", "calm",  "clear",  "coral",  "crisp", "deep",  "eager", "early",
    "fair",  "fleet", "frosty", "gentle", "gilded", "grand", "hardy",  "hazel",  "ivory", "jolly", "keen",  "lively",
    "loyal", "lucid", "mellow", "merry",  "misty",  "noble", "opal",   "placid", "proud", "quick", "quiet", "rapid",
    "ready", "royal", "rustic", "sandy",  "serene", "sharp", "silent", "silver", "sleek", "solid", "stark", "steady",
    "still", "stout", "sturdy", "sunny",  "swift",  "tidal", "tidy",   "upper",  "vivid", "warm",  "windy", "young"};
constexpr std::array kThings = {
    "anchor",  "ballast", "barge",  "bay",      "beacon",  "boom",    "bow",     "bowline", "brig",   "buoy",
    "cabin",   "canal",   "canvas", "capstan",  "clipper", "coast",   "compass", "cove",    "crane",  "current",
    "cutter",  "davit",   "deck",   "delta",    "dock",    "fathom",  "fender",  "ferry",   "galley", "halyard",
    "harbor",  "hatch",   "hawser", "helm",     "hull",    "island",  "jetty",   "keel",    "ketch",  "lagoon",
    "lantern", "ledge",   "lock",   "mast",     "mooring", "pennant", "pier",    "port",    "quay",   "reef",
    "rigging", "rudder",  "sail",   "schooner", "sextant", "shoal",   "skiff",   "strait",  "tiller", "wharf"};

template <size_t Size>
const char* pick(const std::array<const char*, Size>& words) {
  thread_local std::minstd_rand generator(std::random_device{}());
  return words[std::uniform_int_distribution<size_t>(0, Size - 1)(generator)];
}

bool is_name_character(unsigned char c) { return std::isalnum(c) != 0 || c == '_' || c == '.' || c == '-'; }

}  // namespace

std::string random_name() { return fmt::format("{}_{}", pick(kQualities), pick(kThings)); }

void check_name(const std::string& name) {
  if (name.size() < 2 || name.size() > 255 || std::isalnum(static_cast<unsigned char>(name[0])) == 0 ||
      !std::all_of(name.begin(), name.end(), is_name_character)) {
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("Invalid container name ({}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed", name));
  }
}

}  // namespace bulkhead::engine
