// What a VM is told by QMP beyond a single command: saving and restoring its devices, and changing a disk under a running
// guest.
//
// One thread, as Qmp.
#pragma once

#include "sandbox/vm/qmp.h"
#include "support/unique_fd.h"

namespace bulkhead::sandbox::vm {

/// Writes the state of a stopped machine's devices to `file`. Its memory is left out: it is in a file that others map.
/// Blocks until it is written, at most `timeout`.
void save_devices(Qmp& qmp, int file, std::chrono::milliseconds timeout);

/// Reads it again into a machine that was started with `-incoming defer`, and lets the guest go on. `file`'s offset is used:
/// each machine needs an open file of its own.
void restore_devices(Qmp& qmp, int file, std::chrono::milliseconds timeout);

/// How often each disk was changed before: names inside QEMU come from it.
struct DiskChanges {
  unsigned image = 0, scratch = 0;
};

/// A new file for the image's disk, for the container's. The guest must not use the disk meanwhile, or stands still and finds
/// the same content; the new file has the old one's size. `before` as in DiskChanges.
void change_image(Qmp& qmp, const UniqueFd& image, unsigned before);
void change_scratch(Qmp& qmp, const UniqueFd& scratch, unsigned before);

}  // namespace bulkhead::sandbox::vm
