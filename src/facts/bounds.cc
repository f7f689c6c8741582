#include "facts/bounds.h"

#include <string>

#include "facts/facts.pb.h"

namespace bulkhead::facts {
namespace {

constexpr size_t kLongest = 512;
constexpr int kMostFilters = 64;

template <typename List>
void cut(List& list, int most) {
  if (list.size() > most) {
    list.DeleteSubrange(most, list.size() - most);
  }
}

void cut(std::string& text) {
  if (text.size() > kLongest) {
    text.resize(kLongest);
  }
}

void cut(Process& process) {
  cut(*process.mutable_command());
  cut(*process.mutable_exec_id());
  cut(*process.mutable_namespaces(), 16);
  for (Namespace& each : *process.mutable_namespaces()) {
    cut(*each.mutable_kind());
  }
  cut(*process.mutable_resource_limits(), 16);
  for (ResourceLimit& each : *process.mutable_resource_limits()) {
    cut(*each.mutable_name());
  }
}

void cut_texts(Wall& wall) {
  for (std::string* text : {wall.mutable_kernel()->mutable_release(), wall.mutable_kernel()->mutable_boot_id(),
                            wall.mutable_kernel()->mutable_machine(), wall.mutable_kernel()->mutable_host_name()}) {
    cut(*text);
  }
  for (Limit& limit : *wall.mutable_limits()) {
    cut(*limit.mutable_name());
    cut(*limit.mutable_text());
    cut(*limit.mutable_file());
  }
  for (VisiblePath& path : *wall.mutable_paths()) {
    cut(*path.mutable_inside());
    cut(*path.mutable_source());
    cut(*path.mutable_type());
    cut(*path.mutable_destination());
  }
  for (Device& device : *wall.mutable_devices()) {
    cut(*device.mutable_path());
    cut(*device.mutable_kind());
    cut(*device.mutable_access());
  }
  for (std::string& rule : *wall.mutable_device_rules()) {
    cut(rule);
  }
  for (Gap& gap : *wall.mutable_gaps()) {
    cut(*gap.mutable_what());
    cut(*gap.mutable_why());
  }
}

}  // namespace

void fit(Wall& wall, size_t bytes) {
  const auto too_long = [&] { return wall.ByteSizeLong() > bytes; };
  if (!too_long()) {
    return;
  }
  Gap& gap = *wall.add_gaps();
  gap.set_what("all");
  gap.set_why("there is more than one answer can hold: some filters, paths or processes are left out");
  for (int i = wall.chains_size() - 1; i >= 0 && too_long(); --i) {
    wall.mutable_chains(i)->clear_programs();
  }
  while (too_long() && wall.paths_size() > 0) {
    wall.mutable_paths()->RemoveLast();
  }
  while (too_long() && wall.devices_size() > 0) {
    wall.mutable_devices()->RemoveLast();
  }
  while (too_long() && wall.processes_size() > 1) {
    wall.mutable_processes()->RemoveLast();
    wall.set_more_processes(wall.more_processes() + 1);
  }
}

void bound(Wall& wall) {
  wall.clear_inside();
  wall.clear_accelerator();
  wall.clear_accelerator_how();
  wall.clear_open_files();
  wall.clear_resources();
  cut(*wall.mutable_processes(), 128);
  cut(*wall.mutable_chains(), 32);
  cut(*wall.mutable_limits(), 64);
  cut(*wall.mutable_paths(), 256);
  cut(*wall.mutable_devices(), 512);
  cut(*wall.mutable_device_rules(), 256);
  cut(*wall.mutable_system(), 1);
  cut(*wall.mutable_gaps(), 32);
  for (FilterChain& chain : *wall.mutable_chains()) {
    cut(*chain.mutable_programs(), kMostFilters);
    chain.clear_reach();
  }
  for (Process& process : *wall.mutable_processes()) {
    cut(process);
    bool known = process.role() == ROLE_INIT || process.role() == ROLE_EXEC || process.role() == ROLE_STRANGER;
    process.set_role(known ? process.role() : ROLE_OTHER);
  }
  for (Process& process : *wall.mutable_system()) {
    cut(process);
    process.set_role(ROLE_AGENT);
  }
  cut_texts(wall);
}

}  // namespace bulkhead::facts
