#include "sandbox/vm/configuration.h"

#include <fmt/format.h>
#include <unistd.h>

#include <nlohmann/json.hpp>

#include "sandbox/vm/accelerator.h"
#include "support/error.h"
#include "support/files.h"

namespace bulkhead::sandbox::vm {
namespace {

std::optional<Accelerator> parse_accelerator(const std::string& name) {
  if (name == "kvm") {
    return Accelerator::kKvm;
  }
  if (name == "tcg") {
    return Accelerator::kTcg;
  }
  if (name == "auto") {
    return std::nullopt;
  }
  throw Error(ErrorCode::kInvalidArgument, fmt::format("accelerator '{}': it is 'kvm', 'tcg' or 'auto'", name));
}

Start parse_start(const std::string& name) {
  if (name == "pool") {
    return Start::kPool;
  }
  if (name == "clone") {
    return Start::kClone;
  }
  if (name == "cold") {
    return Start::kCold;
  }
  throw Error(ErrorCode::kInvalidArgument, fmt::format("start '{}': it is 'pool', 'clone' or 'cold'", name));
}

}  // namespace

Accelerator accelerator_of(const Configuration& configuration) {
  return configuration.accelerator ? *configuration.accelerator : choose_accelerator(configuration.cache_folder).accelerator;
}

Configuration with_built_in_kernel(Configuration configuration) {
  bool is_there = !configuration.emulated_kernel.empty() && configuration.processors == 1;  // it knows no second one
  if (is_there && accelerator_of(configuration) == Accelerator::kTcg) {
    configuration.kernel = configuration.emulated_kernel;
  }
  return configuration;
}

Configuration read_configuration(const std::filesystem::path& file, Configuration defaults) {
  defaults.cache_folder = file.parent_path();
  if (::access(file.c_str(), F_OK) != 0) {
    return defaults;
  }
  auto settings = nlohmann::json::parse(read_file(file, 1UL << 20), nullptr, false);
  if (!settings.is_object()) {
    throw Error(ErrorCode::kInvalidArgument, fmt::format("'{}' is no JSON object", file.native()));
  }
  for (const auto& [name, value] : settings.items()) {
    if (!value.is_string()) {
      throw Error(ErrorCode::kInvalidArgument, fmt::format("'{}': '{}' is no string", file.native(), name));
    }
    auto text = value.get<std::string>();
    if (name == "qemu") {
      defaults.qemu = text;
    } else if (name == "kernel") {
      defaults.kernel = text;  // somebody's own, for whatever it runs on
      defaults.emulated_kernel.clear();
    } else if (name == "kernels") {
      defaults.kernels = text;
    } else if (name == "initramfs") {
      defaults.initramfs = text;
    } else if (name == "accelerator") {
      defaults.accelerator = parse_accelerator(text);
    } else if (name == "start") {
      defaults.start = parse_start(text);
    } else if (name == "console_log") {
      defaults.console_log = text;
    } else {
      throw Error(ErrorCode::kInvalidArgument, fmt::format("'{}': '{}' is no setting of VMs", file.native(), name));
    }
  }
  return defaults;
}

}  // namespace bulkhead::sandbox::vm
