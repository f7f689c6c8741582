// The two walls that a container can have, from the thinner to the thicker. Pure data.
#pragma once

#include <array>
#include <optional>
#include <string_view>

namespace bulkhead::policy {

enum class Mode { kProcess, kHyperv };
constexpr std::array kModes = {Mode::kProcess, Mode::kHyperv};

constexpr std::string_view name(Mode mode) { return mode == Mode::kProcess ? "process" : "hyperv"; }

constexpr std::optional<Mode> mode_of(std::string_view word) {
  for (Mode mode : kModes) {
    if (word == name(mode)) {
      return mode;
    }
  }
  return std::nullopt;
}

constexpr Mode thicker(Mode one, Mode other) { return one < other ? other : one; }

/// Some of the modes.
class ModeSet {
 public:
  static constexpr ModeSet all() { return at_least(Mode::kProcess); }
  static constexpr ModeSet at_least(Mode thinnest) {
    ModeSet set;
    for (Mode mode : kModes) {
      set.has_[static_cast<size_t>(mode)] = mode >= thinnest;
    }
    return set;
  }
  constexpr void add(Mode mode) { has_[static_cast<size_t>(mode)] = true; }
  constexpr void remove(Mode mode) { has_[static_cast<size_t>(mode)] = false; }
  constexpr bool contains(Mode mode) const { return has_[static_cast<size_t>(mode)]; }
  constexpr std::optional<Mode> thinnest() const {
    for (Mode mode : kModes) {
      if (contains(mode)) {
        return mode;
      }
    }
    return std::nullopt;
  }
  constexpr bool empty() const { return !thinnest(); }

 private:
  std::array<bool, kModes.size()> has_{};
};

}  // namespace bulkhead::policy
