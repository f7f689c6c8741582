// From what a client asked for to the OCI runtime spec that says it: Docker's defaults, its options, its words in errors.
// Pure but for the files inside the image, which come through `read_file`. Thread-safe.
#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "engine/container.h"
#include "oci/runtime_spec.h"
#include "oci/user_lookup.h"

namespace bulkhead::engine {

using oci::RootFileReader;
/// Looks through overlay folders as the container would see them: `upper`, then `lower` from the top down (':' joined);
/// whiteouts hide, symlinks stay inside the folder they are found in.
RootFileReader overlay_file_reader(const std::string& upper, const std::string& lower);
/// The first `limit` bytes of a file in the same way, through folders from the top down; nullopt where it isn't there.
std::optional<std::string> read_overlay_head(const std::vector<std::string>& folders, const std::string& path, size_t limit);

struct SpecRequest {
  const Container& container;         // config merged with the image's defaults
  std::string network_namespace;      // path; "" is the host's
  std::string cgroups_path;           // "/bulkhead/<id>"
  std::filesystem::path init_binary;  // for --init, "" : none found
  // Empty: nobody here can read the container's root. The spec then names the user instead of its ids (oci::User::username).
  RootFileReader read_file;
};

/// Throws what `build_spec` would throw for options that are wrong whatever the image and the host's devices are: for create,
/// where Docker refuses them.
void check_options(const Container& container);
/// Throws kInvalidArgument, kNotSupported or kNotFound naming the option. `Container::path` and `args` are the command.
oci::Spec build_spec(const SpecRequest& request);
/// The process of an exec inside a container that was started from `spec`.
oci::Process build_exec_process(const oci::Spec& spec, const Container& container, const ExecConfig& exec,
                                const RootFileReader& read_file);
/// Bind mounts and tmpfs of a create request as `inspect` shows them. Checks syntax ("src:dst[:options]") and that sources
/// exist where `--mount` says they must; creates missing sources of `-v` as folders, as Docker does.
std::vector<MountView> resolve_mounts(const HostConfig& host_config);
/// "SIGTERM", "term", "15" -> 15. Throws kInvalidArgument "Invalid signal: x".
int parse_signal(const std::string& text);

}  // namespace bulkhead::engine
