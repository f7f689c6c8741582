// The verbs: each takes the words after its name and returns the exit code. Errors are thrown; `application.cc` prints them.
#pragma once

#include <string>
#include <vector>

#include "cli/api.h"

namespace bulkhead::cli {

using Words = std::vector<std::string>;

int run_run(Api& api, Words words);
int run_create(Api& api, Words words);
int run_exec(Api& api, Words words);
int run_attach(Api& api, Words words);
int run_start(Api& api, Words words);
int run_logs(Api& api, Words words);
int run_ps(Api& api, Words words);
int run_inspect(Api& api, Words words);
int run_top(Api& api, Words words);
int run_rm(Api& api, Words words);
int run_stop(Api& api, Words words);
int run_restart(Api& api, Words words);
int run_kill(Api& api, Words words);
int run_pause(Api& api, Words words);
int run_unpause(Api& api, Words words);
int run_rename(Api& api, Words words);
int run_wait(Api& api, Words words);
int run_images(Api& api, Words words);
int run_pull(Api& api, Words words);
int run_load(Api& api, Words words);
int run_import(Api& api, Words words);
int run_tag(Api& api, Words words);
int run_history(Api& api, Words words);
int run_rmi(Api& api, Words words);
int run_compat(Api& api, Words words);
int run_doctor(Api& api, Words words);
int run_explain(Api& api, Words words);
int run_kernel(Api& api, Words words);
int run_policy(Api& api, Words words);
int run_info(Api& api, Words words);
int run_version(Api& api, Words words);

}  // namespace bulkhead::cli
