// Every handler of the API, by the file that holds it. Each throws Error where it fails; api.cc answers for it.
#pragma once

#include "api/request.h"

namespace bulkhead::api {

// system.cc
void system_ping(Request& request);
void system_version(Request& request);
void system_info(Request& request);
void system_disk_usage(Request& request);
// auth.cc
void auth_check(Request& request);
// events.cc
void system_events(Request& request);

// containers_create.cc
void containers_create(Request& request);
// containers_list.cc
void containers_list(Request& request);
// containers_inspect.cc
void containers_inspect(Request& request);
// containers.cc
void containers_start(Request& request);
void containers_stop(Request& request);
void containers_restart(Request& request);
void containers_kill(Request& request);
void containers_pause(Request& request);
void containers_unpause(Request& request);
void containers_rename(Request& request);
void containers_resize(Request& request);
void containers_remove(Request& request);
void containers_prune(Request& request);
void containers_top(Request& request);
void containers_wait(Request& request);
// containers_archive.cc
void containers_archive_stat(Request& request);
void containers_archive_get(Request& request);
void containers_archive_put(Request& request);
// containers_attach.cc
void containers_attach(Request& request);
// containers_stats.cc
void containers_stats(Request& request);
// containers_logs.cc
void containers_logs(Request& request);

// exec.cc
void exec_create(Request& request);
void exec_start(Request& request);
void exec_inspect(Request& request);
void exec_resize(Request& request);

// images.cc
void images_list(Request& request);
void images_inspect(Request& request);
void images_history(Request& request);
void images_tag(Request& request);
void images_remove(Request& request);
void images_prune(Request& request);
// images_transfer.cc
void images_create(Request& request);
void images_load(Request& request);

// networks.cc
void networks_list(Request& request);
void networks_inspect(Request& request);
void networks_prune(Request& request);

// kernels.cc
void kernels_list(Request& request);
void kernels_add(Request& request);
void kernels_remove(Request& request);

// volumes.cc
void volumes_list(Request& request);
void volumes_inspect(Request& request);
void volumes_prune(Request& request);

// policy.cc
void policy_status(Request& request);
void policy_of_container(Request& request);
void policy_audit(Request& request);

// explain.cc
void explain_host(Request& request);
void explain_container(Request& request);

// unavailable.cc
void not_available(Request& request);
void no_swarm(Request& request);
void plugins_list(Request& request);
void build_prune(Request& request);

}  // namespace bulkhead::api
