#include "sandbox/vm/agent_session.h"

#include <fmt/format.h>
#include <signal.h>

#include <utility>

#include "support/error.h"
#include "support/log.h"

namespace bulkhead::sandbox::vm {
namespace {

/// Every signal stays with the shim's own thread; a broken pipe is an error code here.
std::thread start_thread(std::function<void()> body) {
  sigset_t all;
  sigset_t before;
  ::sigfillset(&all);
  ::pthread_sigmask(SIG_SETMASK, &all, &before);
  std::thread thread(std::move(body));
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return thread;
}

}  // namespace

AgentSession::AgentSession(UniqueFd channel)
    : caller_(std::make_unique<agent::Caller>(loop_, std::move(channel), [this](const Error&) { lost_ = true; })) {
  thread_ = start_thread([this] {
    try {
      loop_.run();
    } catch (const std::exception& error) {
      log::error("the thread of a VM: {}", error.what());
      lost_ = true;
      caller_->close(Error(ErrorCode::kUnavailable, error.what()));
    }
  });
}

AgentSession::~AgentSession() { stop(); }

void AgentSession::stop() {
  if (!thread_.joinable()) {
    return;
  }
  loop_.post([this] {
    caller_->close(Error(ErrorCode::kUnavailable, "the VM was ended"));
    loop_.stop();
  });
  thread_.join();
}

UniqueFd AgentSession::release() {
  std::promise<UniqueFd> promise;
  loop_.post([&] {
    try {
      promise.set_value(caller_->release());
    } catch (...) {
      promise.set_exception(std::current_exception());
    }
    loop_.stop();
  });
  thread_.join();
  return promise.get_future().get();
}

void AgentSession::call(const char* method, const google::protobuf::MessageLite& request,
                        google::protobuf::MessageLite& response, std::chrono::milliseconds timeout) {
  auto promise = std::make_shared<std::promise<agent::Answer>>();
  auto answer = promise->get_future();
  // The request stays where it is: this thread waits until it was sent, or longer.
  auto sent = std::make_shared<std::promise<void>>();
  loop_.post([this, method, &request, promise, sent] {
    try {
      caller_->call(method, request, [promise](agent::Answer given) { promise->set_value(std::move(given)); });
    } catch (const Error& error) {
      promise->set_value({.payload = {}, .error = error});
    }
    sent->set_value();
  });
  sent->get_future().wait();
  if (answer.wait_for(timeout) != std::future_status::ready) {
    throw Error(ErrorCode::kDeadlineExceeded, fmt::format("the agent in the VM doesn't answer '{}' within {} s", method,
                                                          std::chrono::duration_cast<std::chrono::seconds>(timeout).count()));
  }
  answer.get().get(response);
}

}  // namespace bulkhead::sandbox::vm
