// Starts the engine where none runs. Blocking; for the CLI's one thread.
#pragma once

#include <filesystem>

#include "http/client.h"

namespace bulkhead::cli {

struct Place;

/// --run-root, or its default.
std::filesystem::path run_root_of(const Place& place);

/// Runs the `bulkheadd` beside this executable, detached from this process and its terminal, its log in the run root, and waits
/// until an engine answers at `address`: this one, or that of another client which was faster (the engine locks its root; the
/// slower one ends). Throws kUnavailable with the engine's last words where none answers in time.
void start_daemon(const Place& place, const http::Address& address);

}  // namespace bulkhead::cli
