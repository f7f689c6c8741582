// The guest's first file system, put together from what this guest needs: the agent, the modules of its kernel, an emulator for
// programs of another architecture. The kernel takes archives one after the other; QEMU takes one file.
//
// Any thread, any process. Blocks on the disk.
#pragma once

#include <filesystem>
#include <string>

namespace bulkhead::sandbox::vm {

struct InitramfsParts {
  std::filesystem::path agent;    // of guest/build-initramfs.sh
  std::filesystem::path modules;  // kernels/module_archive.h, or empty
  std::string emulated;           // an architecture of host/emulators.h, or ""
};

/// The file that holds them all: the agent's own where there is nothing else, else one in `cache_folder`, which is made where
/// no container has needed it before. Throws kNotSupported naming the emulator that isn't installed.
std::filesystem::path assemble_initramfs(const InitramfsParts& parts, const std::filesystem::path& cache_folder);

}  // namespace bulkhead::sandbox::vm
