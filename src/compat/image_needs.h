// What an image for Linux needs of the kernel that it runs on, and whether a kernel has it. Pure: what has to be read from the
// image's files is read by whoever calls.
//
// - the architecture, from the image's configuration;
// - the label org.bulkhead.kernel, a range; or, where there is none, `os.version` read as the oldest kernel;
// - `os.features`: none are known for Linux, so one that is asked for is there on no host;
// - the oldest kernel of its C library (abi_note.h).
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "compat/kernel_version.h"

namespace bulkhead::compat {

inline constexpr const char* kKernelLabel = "org.bulkhead.kernel";

struct KernelNeed {
  KernelRange range;
  std::string source;  // "label org.bulkhead.kernel", "os.version", "/lib/x86_64-linux-gnu/libc.so.6"
};

struct ImageNeeds {
  std::string architecture;  // "amd64"; "" where the image says none
  std::vector<KernelNeed> kernel;
  std::vector<std::string> features;
};

struct ImageFacts {
  std::string architecture, os_version;
  std::vector<std::string> os_features;
  std::map<std::string, std::string> labels;  // the image's, with those of the create request before them
  std::optional<KernelNeed> library;
};

/// Throws kInvalidArgument where the label is no range.
ImageNeeds needs_of(const ImageFacts& facts);

struct KernelFacts {
  std::string name;     // "this host", "kernel '6.12'"
  std::string release;  // "6.18.44-cloud"
  std::string version;  // "6.1.192", where the release doesn't say it (version_of_build); else ""
  std::string architecture;
  std::vector<std::string> emulated;  // architectures whose programs it runs too (binfmt_misc)
  bool programs_386 = true;           // an amd64 one: does it run 32-bit programs?
};

/// Why the kernel doesn't fit, in words; nullopt where it does.
std::optional<std::string> mismatch(const ImageNeeds& needs, const KernelFacts& kernel);

/// Does it run programs of this architecture without an emulator?
bool runs_natively(const std::string& image, const KernelFacts& kernel);

/// The places where a C library of this architecture lies, most usual first.
std::vector<std::string> library_paths(const std::string& architecture);

/// Does a processor of architecture `host` run programs of `image` without help?
bool runs_natively(const std::string& image, const std::string& host);

}  // namespace bulkhead::compat
