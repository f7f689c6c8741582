#include "sandbox/vm/qemu_arguments.h"

#include <fmt/format.h>

#include "agent/protocol/protocol.h"
#include "sandbox/vm/accelerator.h"

namespace bulkhead::sandbox::vm {
namespace {

using Arguments = std::vector<std::string>;

void add(Arguments& arguments, std::initializer_list<std::string> more) { arguments.insert(arguments.end(), more); }

std::string kernel_command_line(const MachineShape& shape, Origin origin) {
  // panic=-1 restarts at once, which -no-reboot makes the end of QEMU: a guest that panicked is seen as such.
  // Ticks of 10 ms make a grace period tens of milliseconds long, and mounts, namespaces and network devices wait for several.
  // Of terminals in the manner of BSD there would be 256 pairs, each a device to make at boot.
  std::string line = "panic=-1 reboot=t rcupdate.rcu_expedited=1 pty.legacy_count=0";
  bool acpi = shape.devices == kernels::Devices::kAcpi;
  if (shape.accelerator == Accelerator::kTcg) {
    // The host's counter is the guest's; without this the kernel measures it for a tenth of a second. An emulated CPU does
    // not speculate: what the kernel would do against it (separate page tables) costs much and protects from nothing.
    line += fmt::format(" no_timer_check tsc=reliable tsc_early_khz={} mitigations=off", time_stamp_rate());
    // A kernel for several processors that finds one takes the LOCK prefix out of its text, at 9000 places, each by way of page
    // tables made for it. The emulator of one processor leaves the prefix out by itself.
    line += " noreplace-smp";
    line += acpi ? "" : fmt::format(" lpj={}", uint64_t{time_stamp_rate()} * 10);  // loops in a tick of 10 ms
  }
  // Where there is ACPI the kernel looks for no PIT: without the local timer its time would stand still.
  if (shape.accelerator == Accelerator::kTcg && !acpi && origin == Origin::kBoot && shape.processors == 1) {
    // The kernel measures the local timer for a quarter of a second; the PIT needs none. It wakes an idle guest 36 times a
    // second, so templates, of which many are made, keep the local one.
    line += " nolapic_timer";
  }
  // With no log there is no serial port, which the kernel would look for at four places.
  line += shape.console_log == ConsoleLog::kFile ? " console=ttyS0" : " quiet 8250.nr_uarts=0";
  return line;
}

void add_processor(Arguments& arguments, const MachineShape& shape) {
  if (shape.accelerator == Accelerator::kKvm) {
    add(arguments, {"-accel", "kvm", "-cpu", "host"});
  } else {
    // ERMS tells a program that `rep movsb` is the quickest copy. It is the slowest here: emulated byte by byte.
    add(arguments, {"-accel", "tcg,thread=multi,tb-size=64", "-cpu", "max,erms=off"});
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
                  // By default QEMU stops the machine where the host's disk is full: the guest is told instead.
                  "-device", "virtio-blk-device,drive=scratch,id=disk1,werror=report,rerror=report"});
}

void add_network(Arguments& arguments) {
  add(arguments, {"-netdev", fmt::format("tap,id=net0,fd={}", kTapFd), "-device", "virtio-net-device,netdev=net0,id=nic0"});
}

void add_memory(Arguments& arguments, const MachineShape& shape, Origin origin) {
  if (origin != Origin::kBoot) {
    // SECURITY: share=off maps the file MAP_PRIVATE. The file itself is sealed against writing once the template is saved, so
    // that no clone can write to what the others are made of, whatever it does with the descriptor.
    add(arguments, {"-object",
                    fmt::format("memory-backend-file,id=memory,size={}M,mem-path=/proc/self/fd/{},share={}", shape.memory >> 20,
                                kMemoryFd, origin == Origin::kTemplate ? "on" : "off"),
                    "-machine", "memory-backend=memory"});
  }
}

/// What a clone runs is in its memory already: it has no kernel to load.
void add_guest(Arguments& arguments, const MachineShape& shape, Origin origin) {
  if (origin == Origin::kClone) {
    add(arguments, {"-incoming", "defer"});
  } else {
    add(arguments, {"-kernel", kJailKernel, "-initrd", kJailInitramfs, "-append", kernel_command_line(shape, origin)});
  }
}

}  // namespace

Arguments qemu_arguments(const std::string& qemu, const MachineShape& shape, Origin origin) {
  bool log = shape.console_log == ConsoleLog::kFile;
  bool acpi = shape.devices == kernels::Devices::kAcpi;
  Arguments arguments{qemu};
  add_processor(arguments, shape);
  // Where the virtio devices are the kernel's command line says (auto-kernel-cmdline), or ACPI's tables do. rtc=on: the kernel
  // would look for the clock for a second.
  // SECURITY: mem-merge=off: pages that the host's kernel merges tell one guest by their timing what another has.
  add(arguments,
      {"-M", fmt::format("microvm,acpi={},x-option-roms=off,rtc=on,isa-serial={},auto-kernel-cmdline={},mem-merge=off",
                         acpi ? "on" : "off", log ? "on" : "off", acpi ? "off" : "on")});
  add(arguments, {"-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"});
  // SECURITY: QEMU's own seccomp filter: it starts no program and doesn't change what it is.
  add(arguments, {"-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"});
  add(arguments, {"-device", "virtio-serial-device,max_ports=2", "-chardev", fmt::format("socket,id=agent,fd={}", kAgentFd),
                  "-device", fmt::format("virtserialport,chardev=agent,nr=1,name={}", agent::kPortName)});
  add_memory(arguments, shape, origin);
  add_disks(arguments);
  add_network(arguments);
  // Owners and modes as on the host: the jail's mounts translate them.
  add(arguments, {"-fsdev", fmt::format("local,id=shares,path={},security_model=passthrough,multidevs=remap", kJailShares),
                  "-device", fmt::format("virtio-9p-device,fsdev=shares,mount_tag={}", agent::kShareTag)});
  add_guest(arguments, shape, origin);
  add(arguments, {"-chardev", fmt::format("socket,id=monitor,fd={}", kMonitorFd), "-mon", "chardev=monitor,mode=control"});
  if (log) {
    add(arguments, {"-add-fd", fmt::format("fd={},set=3", kConsoleFd), "-serial", "file:/dev/fdset/3"});
  }
  return arguments;
}

}  // namespace bulkhead::sandbox::vm
