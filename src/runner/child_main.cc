#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstring>

#include "runner/child.h"

namespace bulkhead::runner {

namespace {

struct KernelSigaction {  // rt_sigaction(2); glibc's own hides two signals
  void (*handler)(int);
  unsigned long flags;
  void (*restorer)();
  unsigned long mask;
};

void reset_signals() {
  KernelSigaction action{};
  action.handler = SIG_DFL;
  for (int number = 1; number <= 64; ++number) {
    ::syscall(SYS_rt_sigaction, number, &action, nullptr, sizeof(action.mask));  // not for SIGKILL and SIGSTOP
  }
  unsigned long none = 0;
  ::syscall(SYS_rt_sigprocmask, SIG_SETMASK, &none, nullptr, sizeof(none));
}

// Before anything else: the limits hold for all that follows, and a cgroup namespace takes its root from here.
void enter_cgroups(const Child& child) {
  uint32_t index = 0;
  for (const UniqueFd& entrance : child.plan.cgroup_entrances) {
    check(child, ::write(entrance.get(), "0", 1), Step::kEnterCgroup, index++);
  }
}

void begin(const Child& child) {
  // SECURITY: this is a copy of the parent's memory in a process that the container may see: no ptrace, no /proc/<pid>/mem and
  // exe.
  ::prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
  reset_signals();
  ::umask(0);
  check(child, ::setsid(), Step::kSession);
}

void become_root_of_user_namespace(const Child& child) {
  check(child, ::syscall(SYS_setresgid, 0, 0, 0), Step::kUserNamespace);
  check(child, ::syscall(SYS_setresuid, 0, 0, 0), Step::kUserNamespace);
}

void set_names(const Child& child) {
  const ContainerPlan& container = *child.plan.container;
  if (container.hostname != nullptr) {
    check(child, ::sethostname(container.hostname, std::strlen(container.hostname)), Step::kHostname);
  }
  if (container.domainname != nullptr) {
    check(child, ::setdomainname(container.domainname, std::strlen(container.domainname)), Step::kDomainname);
  }
}

}  // namespace

void send_report(const Child& child, const Report& report, int fd_to_pass) {
  Report copy = report;
  iovec vector{&copy, sizeof(copy)};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &vector;
  message.msg_iovlen = 1;
  if (fd_to_pass >= 0) {
    message.msg_control = control;
    message.msg_controllen = sizeof(control);
    cmsghdr* header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(header), &fd_to_pass, sizeof(int));
  }
  (void)::syscall(SYS_sendmsg, child.channel, &message, MSG_NOSIGNAL);
}

void fail(const Child& child, Step step, uint32_t index, int error) {
  send_report(child, {.kind = ReportKind::kFailed, .step = step, .index = index, .error = error});
  for (;;) {
    ::syscall(SYS_exit_group, 1);
  }
}

void await(const Child& child, Command command) {
  for (;;) {
    uint8_t byte = 0;
    long count = ::syscall(SYS_read, child.channel, &byte, 1);
    if (count == 1 && byte == static_cast<uint8_t>(command)) {
      return;
    }
    if (count < 0 && errno == EINTR) {
      continue;
    }
    ::syscall(SYS_exit_group, 1);  // the parent is gone, so nobody is there to hear why
  }
}

void run_init(Child& child) {
  const ContainerPlan& container = *child.plan.container;
  begin(child);
  enter_cgroups(child);
  if (container.user_namespace) {
    await(child, Command::kMapped);
    become_root_of_user_namespace(child);
  }
  uint32_t index = 0;
  for (const NamespaceJoin& join : container.joins) {
    check(child, ::setns(join.fd.get(), static_cast<int>(join.flag)), Step::kJoinNamespace, index++);
  }
  if (container.own_cgroup_namespace) {
    check(child, ::unshare(CLONE_NEWCGROUP), Step::kCgroupNamespace);
  }
  set_names(child);
  build_root(child);
  become_process(child);
  send_report(child, {.kind = ReportKind::kReady});
  await(child, Command::kStart);
  execute(child);
}

void run_exec(Child& child) {
  const ExecPlan& exec = *child.plan.exec;
  begin(child);
  enter_cgroups(child);
  check(child, ::setns(exec.init_pidfd, static_cast<int>(exec.namespaces)), Step::kJoinNamespace);
  if ((exec.namespaces & CLONE_NEWUSER) != 0) {
    become_root_of_user_namespace(child);
  }
  if (child.plan.process.terminal) {
    open_terminal(child);
  }
  become_process(child);
  execute(child);
}

}  // namespace bulkhead::runner
