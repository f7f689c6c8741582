#include "engine/name_files.h"

#include "engine/name_texts.h"
#include "support/error.h"
#include "support/files.h"

namespace bulkhead::engine {
namespace {

// systemd-resolved's own address in resolv.conf is of no use inside; the servers that it asks are listed here.
constexpr const char* kResolvConf = "/etc/resolv.conf";
constexpr const char* kSystemdResolvConf = "/run/systemd/resolve/resolv.conf";

std::string read_or_empty(const char* path) {
  try {
    return read_file(path, 1UL << 20);
  } catch (const Error& error) {
    if (error.code() == ErrorCode::kNotFound) {
      return "";
    }
    throw;
  }
}

std::string host_resolv_conf() {
  std::string text = read_or_empty(kResolvConf);
  return only_systemd_resolved(text) ? read_or_empty(kSystemdResolvConf) : text;
}

}  // namespace

void write_name_files(const std::filesystem::path& folder, const Container& container) {
  constexpr mode_t kMode = 0644;
  bool on_host_network = container.host_config.network_mode == "host";
  std::string hosts = hosts_text(container, on_host_network ? read_or_empty("/etc/hosts") : "");
  replace_file(folder / "hosts", hosts, kMode, Durability::kUnsynced);
  replace_file(folder / "hostname", container.config.hostname + "\n", kMode, Durability::kUnsynced);
  std::string host = on_host_network ? read_or_empty(kResolvConf) : host_resolv_conf();
  replace_file(folder / "resolv.conf", resolv_conf_text(container.host_config, host), kMode, Durability::kUnsynced);
}

}  // namespace bulkhead::engine
