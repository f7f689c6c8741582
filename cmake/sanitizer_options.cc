// Linked into the programs of a build with sanitizers: what their environment would say, but the engine gives its shims and the
// keeper of VMs none. Every process leaves its reports in the build's folder `reports`, where the tests look for them
// (sanitizer_common's flags: log_path, log_exe_name). Not so the undefined-behaviour sanitizer's under g++ 12: beside the
// address sanitizer's library its own writes to standard error; the process ends there (-fno-sanitize-recover), which a test
// sees. An environment that does say something goes before this.
#define COMMON "log_path=" SANITIZER_REPORTS "/sanitizer:log_exe_name=1:print_stacktrace=1:"

extern "C" {
// The sanitizers' own names for these functions.
// NOLINTBEGIN(bugprone-reserved-identifier,readability-identifier-naming)
const char* __asan_default_options() { return COMMON "detect_stack_use_after_return=1:handle_abort=1"; }
const char* __ubsan_default_options() { return COMMON; }
const char* __tsan_default_options() { return COMMON "second_deadlock_stack=1"; }
// NOLINTEND(bugprone-reserved-identifier,readability-identifier-naming)
}
