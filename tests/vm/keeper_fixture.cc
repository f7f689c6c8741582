#include "keeper_fixture.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>
#include <exception>

#include "sandbox/vm/accelerator.h"
#include "support/pipe.h"

namespace bulkhead::sandbox {

KeeperProcess::KeeperProcess(vm::Configuration configuration, const std::filesystem::path& folder, const std::string& id,
                             unsigned warm, const std::filesystem::path& blank)
    : configuration_(vm::with_built_in_kernel(std::move(configuration))),  // as the shims that ask it have it
      options_{.socket = folder / vm::kKeeperSocket,
               .warm = warm,
               .memory = {configuration_.default_memory},
               .blank = blank,
               .cgroup = "/bulkhead/" + id + "-keeper",
               .quiet = std::chrono::milliseconds(50)} {
  Pipe lifeline;
  lifeline_ = std::move(lifeline.write);
  pid_ = ::fork();
  if (pid_ == 0) {
    ::dup2(lifeline.read.get(), STDIN_FILENO);
    lifeline_.reset();
    try {
      ::_exit(vm::run_vm_keeper(configuration_, options_));
    } catch (const std::exception& error) {
      (void)std::fprintf(stderr, "keeper: %s\n", error.what());
      ::_exit(1);
    }
  }
}

KeeperProcess::~KeeperProcess() { end(); }

int KeeperProcess::end() {
  lifeline_.reset();
  int status = 0;
  if (pid_ > 0) {
    ::waitpid(pid_, &status, 0);
    pid_ = 0;
  }
  return status;
}

void KeeperProcess::kill() {
  ::kill(pid_, SIGKILL);
  end();
}

void KeeperProcess::await_stock(unsigned warm, unsigned templates) {
  vm::MachineShape shape{.accelerator = configuration_.accelerator.value_or(vm::choose_accelerator({}).accelerator),
                         .memory = configuration_.default_memory,
                         .processors = configuration_.processors};
  constexpr int kTries = 1200;  // a minute and more
  for (int i = 0; i < kTries; ++i) {
    auto answer = vm::ask_keeper(options_.socket, vm::make_request(configuration_, shape, vm::Wanted::kCount));
    const auto* count = std::get_if<vm::StockCount>(&answer);
    if (count != nullptr && count->templates >= templates && count->warm >= warm) {
      return;
    }
    ::usleep(50'000);
  }
  throw std::runtime_error("the keeper has nothing after a minute");
}

}  // namespace bulkhead::sandbox
