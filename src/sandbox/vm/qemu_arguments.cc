#include "sandbox/vm/qemu_arguments.h"

#include <fmt/format.h>

#include "agent/protocol/protocol.h"
#include "sandbox/vm/accelerator.h"

namespace bulkhead::sandbox::vm {
namespace {

using Arguments = std::vector<std::string>;

void add(Arguments& arguments, std::initializer_list<std::string> more) { arguments.insert(arguments.end(), more); }

std::string kernel_command_line(const MachineShape& shape) {
  // panic=-1 restarts at once, which -no-reboot makes the end of QEMU: a guest that panicked is seen as such.
  std::string line = "panic=-1 reboot=t";
  if (shape.accelerator == Accelerator::kTcg) {
    // The host's counter is the guest's; without this the kernel measures it for a tenth of a second. An emulated CPU does
    // not speculate: what the kernel would do against it (separate page tables) costs much and protects from nothing.
    line += fmt::format(" no_timer_check tsc=reliable tsc_early_khz={0} lpj={1} mitigations=off", time_stamp_rate(),
                        uint64_t{time_stamp_rate()} * 10);
  }
  line += shape.console_log == ConsoleLog::kFile ? " console=ttyS0" : " quiet";
  return line;
}

void add_processor(Arguments& arguments, const MachineShape& shape) {
  if (shape.accelerator == Accelerator::kKvm) {
    add(arguments, {"-accel", "kvm", "-cpu", "host"});
  } else {
    add(arguments, {"-accel", "tcg,thread=multi,tb-size=64", "-cpu", "max"});
  }
  add(arguments, {"-smp", fmt::format("{}", shape.processors), "-m", fmt::format("{}M", shape.memory >> 20)});
}

void add_disks(Arguments& arguments) {
  add(arguments, {"-add-fd", fmt::format("fd={},set=1", kImageFd), "-add-fd", fmt::format("fd={},set=2", kScratchFd)});
  // Locks would fail on descriptors, and the engine sees to it that nobody else writes.
  add(arguments, {"-blockdev",
                  "driver=raw,node-name=image,read-only=on,file.driver=file,file.locking=off,"
                  "file.filename=/dev/fdset/1",
                  "-device", "virtio-blk-device,drive=image,id=disk0"});
  add(arguments, {"-blockdev",
                  "driver=raw,node-name=scratch,discard=unmap,file.driver=file,file.locking=off,"
                  "file.filename=/dev/fdset/2",
                  "-device", "virtio-blk-device,drive=scratch,id=disk1"});
}

void add_network(Arguments& arguments, Network network) {
  // A hub with one port leads nowhere.
  add(arguments, {"-netdev", network == Network::kTap ? fmt::format("tap,id=net0,fd={}", kTapFd) : "hubport,id=net0,hubid=0",
                  "-device", "virtio-net-device,netdev=net0,id=nic0"});
}

}  // namespace

Arguments qemu_arguments(const std::string& qemu, const MachineShape& shape) {
  bool log = shape.console_log == ConsoleLog::kFile;
  Arguments arguments{qemu};
  add_processor(arguments, shape);
  // auto-kernel-cmdline tells the kernel where the virtio devices are, as there is no ACPI. rtc=on: the kernel would look for
  // the clock for a second.
  add(arguments, {"-M", fmt::format("microvm,acpi=off,x-option-roms=off,rtc=on,isa-serial={},auto-kernel-cmdline=on",
                                    log ? "on" : "off")});
  add(arguments, {"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"});
  // SECURITY: QEMU's own seccomp filter: it starts no program and doesn't change what it is.
  add(arguments, {"-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"});
  add(arguments, {"-device", "virtio-serial-device,max_ports=2", "-chardev", fmt::format("socket,id=agent,fd={}", kAgentFd),
                  "-device", fmt::format("virtserialport,chardev=agent,nr=1,name={}", agent::kPortName)});
  add_disks(arguments);
  add_network(arguments, shape.network);
  // Owners and modes as on the host: the jail's mounts translate them.
  add(arguments, {"-fsdev", fmt::format("local,id=shares,path={},security_model=passthrough,multidevs=remap", kJailShares),
                  "-device", fmt::format("virtio-9p-device,fsdev=shares,mount_tag={}", agent::kShareTag)});
  add(arguments, {"-kernel", kJailKernel, "-initrd", kJailInitramfs, "-append", kernel_command_line(shape)});
  add(arguments, {"-chardev", fmt::format("socket,id=monitor,fd={}", kMonitorFd), "-mon", "chardev=monitor,mode=control"});
  if (log) {
    add(arguments, {"-add-fd", fmt::format("fd={},set=3", kConsoleFd), "-serial", "file:/dev/fdset/3"});
  }
  return arguments;
}

}  // namespace bulkhead::sandbox::vm
