// libFuzzer target: everything a hostile guest can send to the host: frames, answers, their messages. Nothing but Error may
// come of it, and it ends the conversation.
#include <sys/socket.h>
#include <unistd.h>

#include <cstddef>
#include <cstdint>

#include "agent/protocol/agent.pb.h"
#include "agent/protocol/caller.h"
#include "agent/protocol/event_loop.h"
#include "support/error.h"
#include "support/unique_fd.h"

namespace agent = bulkhead::agent;

template <typename Message>
void ask(agent::Caller& caller, const char* method) {
  caller.call(method, agent::wire::Empty(), [](const agent::Answer& answer) {
    Message message;
    try {
      answer.get(message);
    } catch (const bulkhead::Error&) {  // refused
    }
  });
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  int ends[2] = {-1, -1};
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
    return 0;
  }
  bulkhead::UniqueFd guest(ends[1]);
  agent::EventLoop loop;
  agent::Caller caller(loop, bulkhead::UniqueFd(ends[0]), [&](const bulkhead::Error&) { loop.stop(); });
  ask<agent::wire::ReadResponse>(caller, "Read");
  ask<agent::wire::WaitResponse>(caller, "Wait");
  ask<agent::wire::StatisticsResponse>(caller, "Statistics");
  if (::send(guest.get(), data, size, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 && size > 0) {
    return 0;
  }
  ::shutdown(guest.get(), SHUT_WR);  // then the end, which stops the loop
  loop.run();
  return 0;
}
