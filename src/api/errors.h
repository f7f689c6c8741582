// How an error becomes an HTTP answer: the one table from ErrorCode to status.
#pragma once

#include <string>

#include "support/error.h"

namespace bulkhead::api {

int status_of(const Error& error);
/// The error's message, with the words by which the docker client tells "command not found" (exit code 127) and "can't be
/// executed" (126) from every other failure to start (125).
std::string message_of(const Error& error);

}  // namespace bulkhead::api
