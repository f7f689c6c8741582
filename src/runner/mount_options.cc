#include "runner/mount_options.h"

#include <fmt/format.h>
#include <sys/mount.h>

#include <array>
#include <map>
#include <string_view>

#include "support/error.h"

namespace bulkhead::runner {

namespace {

struct AttributeWord {
  std::string_view word;
  uint64_t set, clear;
  unsigned long classic;
};

constexpr std::array<AttributeWord, 20> kAttributes{{
    {"ro", MOUNT_ATTR_RDONLY, 0, MS_RDONLY},
    {"rw", 0, MOUNT_ATTR_RDONLY, 0},
    {"nosuid", MOUNT_ATTR_NOSUID, 0, MS_NOSUID},
    {"suid", 0, MOUNT_ATTR_NOSUID, 0},
    {"nodev", MOUNT_ATTR_NODEV, 0, MS_NODEV},
    {"dev", 0, MOUNT_ATTR_NODEV, 0},
    {"noexec", MOUNT_ATTR_NOEXEC, 0, MS_NOEXEC},
    {"exec", 0, MOUNT_ATTR_NOEXEC, 0},
    {"nodiratime", MOUNT_ATTR_NODIRATIME, 0, MS_NODIRATIME},
    {"diratime", 0, MOUNT_ATTR_NODIRATIME, 0},
    {"nosymfollow", MOUNT_ATTR_NOSYMFOLLOW, 0, 0},
    {"symfollow", 0, MOUNT_ATTR_NOSYMFOLLOW, 0},
    {"relatime", MOUNT_ATTR_RELATIME, MOUNT_ATTR__ATIME, MS_RELATIME},
    {"norelatime", 0, 0, 0},
    {"noatime", MOUNT_ATTR_NOATIME, MOUNT_ATTR__ATIME, MS_NOATIME},
    {"atime", MOUNT_ATTR_RELATIME, MOUNT_ATTR__ATIME, 0},
    {"strictatime", MOUNT_ATTR_STRICTATIME, MOUNT_ATTR__ATIME, MS_STRICTATIME},
    {"nostrictatime", 0, 0, 0},
    {"defaults", 0, 0, 0},
    {"nofail", 0, 0, 0},
}};

constexpr std::array<std::pair<std::string_view, uint64_t>, 4> kPropagations{{
    {"private", MS_PRIVATE},
    {"slave", MS_SLAVE},
    {"shared", MS_SHARED},
    {"unbindable", MS_UNBINDABLE},
}};

const AttributeWord* find_attribute(std::string_view word) {
  for (const AttributeWord& attribute : kAttributes) {
    if (attribute.word == word) {
      return &attribute;
    }
  }
  return nullptr;
}

uint64_t find_propagation(std::string_view word) {
  for (const auto& [name, flag] : kPropagations) {
    if (name == word) {
      return flag;
    }
  }
  return 0;
}

void apply(const AttributeWord& word, uint64_t& set, uint64_t& clear) {
  set = (set & ~word.clear) | word.set;
  // The access time is one field of three values: "clear" empties it for the new value. A plain flag is set or cleared.
  clear = (clear & ~word.set) | word.clear;
}

// Clearing what a bind's source has (say a read-only mount of the host) is not asked for by a word that only says the default.
bool is_default_word(const AttributeWord& word) { return word.word == "rw"; }

bool parse_propagation(std::string_view option, MountOptions& parsed) {
  uint64_t flag = find_propagation(option.starts_with('r') ? option.substr(1) : option);
  if (flag != 0) {
    parsed.propagation = flag;
  }
  return flag != 0;
}

bool parse_attribute(std::string_view option, MountOptions& parsed) {
  if (const AttributeWord* word = find_attribute(option)) {
    apply(*word, parsed.set, parsed.clear);
    if (is_default_word(*word)) {
      parsed.clear &= ~word->clear;
    }
    return true;
  }
  if (const AttributeWord* word = option.starts_with('r') ? find_attribute(option.substr(1)) : nullptr) {
    apply(*word, parsed.recursive_set, parsed.recursive_clear);
    return true;
  }
  return false;
}

}  // namespace

MountOptions parse_mount_options(const std::vector<std::string>& options) {
  MountOptions parsed;
  for (const std::string& option : options) {
    if (option == "bind") {
      parsed.bind = true;
    } else if (option == "rbind") {
      parsed.bind = parsed.recursive_bind = true;
    } else if (option == "remount" || option == "idmap" || option == "ridmap" || option == "tmpcopyup") {
      throw Error(ErrorCode::kNotSupported, fmt::format("mount option '{}' is not supported", option));
    } else if (!option.empty() && !parse_propagation(option, parsed) && !parse_attribute(option, parsed)) {
      size_t equals = option.find('=');
      if (equals == std::string::npos) {
        parsed.data.emplace_back(option, std::nullopt);
      } else {
        parsed.data.emplace_back(option.substr(0, equals), option.substr(equals + 1));
      }
    }
  }
  return parsed;
}

std::pair<unsigned long, std::string> classic_mount_options(const std::vector<std::string>& options) {
  static const std::map<std::string_view, unsigned long> kOthers{
      {"bind", MS_BIND}, {"rbind", MS_BIND | MS_REC}, {"sync", MS_SYNCHRONOUS}, {"dirsync", MS_DIRSYNC}, {"mand", MS_MANDLOCK}};
  unsigned long flags = 0;
  std::string data;
  for (const std::string& option : options) {
    if (const AttributeWord* word = find_attribute(option)) {
      flags |= word->classic;
    } else if (auto other = kOthers.find(option); other != kOthers.end()) {
      flags |= other->second;
    } else {
      data += data.empty() ? option : "," + option;
    }
  }
  if (data.size() >= 4096) {  // mount(2): "Typically it is a string of comma-separated options", one page with its end
    throw Error(ErrorCode::kInvalidArgument,
                fmt::format("the options of a rootfs mount take {} bytes: the kernel reads 4095", data.size()));
  }
  return {flags, data};
}

}  // namespace bulkhead::runner
