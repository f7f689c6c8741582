#include "linux/seccomp.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <linux/seccomp.h>
#include <openssl/sha.h>
#include <seccomp.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <memory>
#include <string>

#include "support/error.h"
#include "support/files.h"
#include "support/unique_fd.h"

namespace bulkhead::linux {

namespace {

using Context = std::unique_ptr<void, decltype(&seccomp_release)>;
using Digest = std::array<unsigned char, SHA256_DIGEST_LENGTH>;

Error bad(const char* what, const std::string& value) {
  return {ErrorCode::kInvalidArgument, fmt::format("seccomp: '{}' is not {}", value, what)};
}

uint32_t action_of(const std::string& name, const std::optional<uint32_t>& errno_ret) {
  // EPERM where nothing is said: config-linux.md, "errnoRet".
  uint16_t number = static_cast<uint16_t>(errno_ret.value_or(EPERM));
  if (name == "SCMP_ACT_ERRNO") return SCMP_ACT_ERRNO(number);
  if (name == "SCMP_ACT_ALLOW") return SCMP_ACT_ALLOW;
  if (name == "SCMP_ACT_KILL" || name == "SCMP_ACT_KILL_THREAD") return SCMP_ACT_KILL_THREAD;
  if (name == "SCMP_ACT_KILL_PROCESS") return SCMP_ACT_KILL_PROCESS;
  if (name == "SCMP_ACT_TRAP") return SCMP_ACT_TRAP;
  if (name == "SCMP_ACT_TRACE") return SCMP_ACT_TRACE(number);
  if (name == "SCMP_ACT_LOG") return SCMP_ACT_LOG;
  if (name == "SCMP_ACT_NOTIFY") {
    throw Error(ErrorCode::kNotSupported, "seccomp: SCMP_ACT_NOTIFY is not supported: there is no listener");
  }
  throw bad("an action", name);
}

scmp_compare operator_of(const std::string& name) {
  if (name == "SCMP_CMP_EQ") return SCMP_CMP_EQ;
  if (name == "SCMP_CMP_NE") return SCMP_CMP_NE;
  if (name == "SCMP_CMP_LT") return SCMP_CMP_LT;
  if (name == "SCMP_CMP_LE") return SCMP_CMP_LE;
  if (name == "SCMP_CMP_GE") return SCMP_CMP_GE;
  if (name == "SCMP_CMP_GT") return SCMP_CMP_GT;
  if (name == "SCMP_CMP_MASKED_EQ") return SCMP_CMP_MASKED_EQ;
  throw bad("an operator", name);
}

unsigned flags_of(const std::vector<std::string>& names) {
  unsigned flags = 0;
  for (const std::string& name : names) {
    if (name == "SECCOMP_FILTER_FLAG_LOG") {
      flags |= SECCOMP_FILTER_FLAG_LOG;
    } else if (name == "SECCOMP_FILTER_FLAG_SPEC_ALLOW") {
      flags |= SECCOMP_FILTER_FLAG_SPEC_ALLOW;
    } else if (name != "SECCOMP_FILTER_FLAG_TSYNC") {  // a process about to execute has one thread
      throw bad("a flag", name);
    }
  }
  return flags;
}

void check(int result, const std::string& doing) {
  if (result < 0) {
    throw system_error("seccomp: " + doing, -result);
  }
}

void add_architectures(void* context, const std::vector<std::string>& names) {
  for (const std::string& name : names) {
    std::string lower = name.starts_with("SCMP_ARCH_") ? name.substr(10) : name;
    for (char& c : lower) {
      c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
    }
    uint32_t architecture = seccomp_arch_resolve_name(lower.c_str());
    if (architecture == 0) {
      throw bad("an architecture", name);
    }
    int result = seccomp_arch_add(context, architecture);
    if (result != -EEXIST) {
      check(result, "add architecture " + name);
    }
  }
}

// libseccomp ANDs the arguments of one rule, except that it refuses two comparisons of the same argument: those are
// alternatives, one rule each, as in runc.
void add_rule(void* context, uint32_t action, int number, const oci::SyscallRule& rule) {
  std::vector<scmp_arg_cmp> comparisons;
  std::array<int, 6> uses{};
  bool repeated = false;
  for (const oci::SyscallArgument& argument : rule.args) {
    scmp_arg_cmp comparison{argument.index, operator_of(argument.op), argument.value, argument.value_two};
    comparisons.push_back(comparison);
    repeated = repeated || ++uses.at(argument.index) > 1;
  }
  const auto add = [&](const scmp_arg_cmp* first, size_t count) {
    check(seccomp_rule_add_array(context, action, number, static_cast<unsigned>(count), first),
          "add a rule for " + rule.names[0]);
  };
  if (!repeated) {
    add(comparisons.data(), comparisons.size());
    return;
  }
  for (const scmp_arg_cmp& comparison : comparisons) {
    add(&comparison, 1);
  }
}

std::vector<sock_filter> export_program(void* context) {
  UniqueFd file(::memfd_create("seccomp", MFD_CLOEXEC));
  if (!file) {
    throw system_error("seccomp: memfd_create");
  }
  check(seccomp_export_bpf(context, file.get()), "export the filter");
  struct stat status {};
  if (::fstat(file.get(), &status) != 0) {
    throw system_error("seccomp: read the filter");
  }
  std::vector<sock_filter> program(static_cast<size_t>(status.st_size) / sizeof(sock_filter));
  size_t size = program.size() * sizeof(sock_filter);
  if (::pread(file.get(), program.data(), size, 0) != static_cast<ssize_t>(size)) {
    throw system_error("seccomp: read the filter");
  }
  return program;
}

Digest sha256(const void* bytes, size_t size) {
  Digest digest{};
  ::SHA256(static_cast<const unsigned char*>(bytes), size, digest.data());
  return digest;
}

// One byte string per section; every field ends in a NUL or has a fixed size, so that no two sections give the same string.
// The same facts as the canonical JSON, without building a document of four hundred names at every start.
std::string key_of(const oci::Seccomp& seccomp) {
  std::string key;
  key.reserve(16 << 10);
  const auto text = [&](const std::string& value) { key.append(value).push_back('\0'); };
  const auto number = [&](uint64_t value) { key.append(reinterpret_cast<const char*>(&value), sizeof(value)); };
  const auto error = [&](const std::optional<uint32_t>& value) { number(value ? *value : ~0ULL); };
  const scmp_version* version = seccomp_version();
  number((static_cast<uint64_t>(version->major) << 32) | (version->minor << 16) | version->micro);
  text(seccomp.default_action);
  error(seccomp.default_errno_ret);
  number(seccomp.architectures.size());
  for (const std::string& architecture : seccomp.architectures) {
    text(architecture);
  }
  number(seccomp.syscalls.size());
  for (const oci::SyscallRule& rule : seccomp.syscalls) {
    text(rule.action);
    error(rule.errno_ret);
    number(rule.names.size());
    for (const std::string& name : rule.names) {
      text(name);
    }
    number(rule.args.size());
    for (const oci::SyscallArgument& argument : rule.args) {
      number(argument.index);
      number(argument.value);
      number(argument.value_two);
      text(argument.op);
    }
  }
  return key;
}

// An entry is the program and then its SHA-256: a crash may leave a file of zeroes under the right name.
std::vector<sock_filter> read_entry(const std::filesystem::path& path) {
  UniqueFd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  struct stat status {};
  // SECURITY: a filter that another user could have written is no filter.
  if (!file || ::fstat(file.get(), &status) != 0 || status.st_uid != ::geteuid() || (status.st_mode & 0022) != 0) {
    return {};
  }
  std::string bytes = read_all(file.get(), 1UL << 20);
  if (bytes.size() <= SHA256_DIGEST_LENGTH || (bytes.size() - SHA256_DIGEST_LENGTH) % sizeof(sock_filter) != 0) {
    return {};
  }
  size_t size = bytes.size() - SHA256_DIGEST_LENGTH;
  if (std::memcmp(sha256(bytes.data(), size).data(), bytes.data() + size, SHA256_DIGEST_LENGTH) != 0) {
    return {};
  }
  std::vector<sock_filter> program(size / sizeof(sock_filter));
  std::memcpy(program.data(), bytes.data(), size);
  return program;
}

std::string entry_of(const std::vector<sock_filter>& program) {
  std::string bytes(reinterpret_cast<const char*>(program.data()), program.size() * sizeof(sock_filter));
  Digest digest = sha256(bytes.data(), bytes.size());
  return bytes.append(reinterpret_cast<const char*>(digest.data()), digest.size());
}

std::string entry_name(const oci::Seccomp& seccomp) {
  std::string key = key_of(seccomp);
  std::string name = "seccomp-";
  for (unsigned char byte : sha256(key.data(), key.size())) {
    name += fmt::format("{:02x}", byte);
  }
  return name;
}

void write_entry(const std::filesystem::path& path, const std::vector<sock_filter>& program) {
  // Two walls may write the same entry at once: each its own temporary file, one of the equal results stays.
  std::filesystem::path own = path;
  own += fmt::format(".{}", ::getpid());
  replace_file(own, entry_of(program), 0600, Durability::kUnsynced);
  if (::rename(own.c_str(), path.c_str()) != 0) {
    throw system_error(fmt::format("rename '{}'", own.native()));
  }
}

}  // namespace

SeccompFilter compile_seccomp(const oci::Seccomp& seccomp) {
  uint32_t default_action = action_of(seccomp.default_action, seccomp.default_errno_ret);
  Context context(seccomp_init(default_action), &seccomp_release);
  if (!context) {
    throw bad("a default action", seccomp.default_action);
  }
  // A binary tree over the system call numbers instead of a list of four hundred comparisons (libseccomp 2.5).
  check(seccomp_attr_set(context.get(), SCMP_FLTATR_CTL_OPTIMIZE, 2), "optimize");
  // no_new_privs is the spec's choice, and set by the process itself.
  check(seccomp_attr_set(context.get(), SCMP_FLTATR_CTL_NNP, 0), "leave no_new_privs alone");
  add_architectures(context.get(), seccomp.architectures);
  for (const oci::SyscallRule& rule : seccomp.syscalls) {
    uint32_t action = action_of(rule.action, rule.errno_ret);
    if (action == default_action) {
      continue;  // libseccomp refuses rules that say what holds anyway
    }
    for (const std::string& name : rule.names) {
      int number = seccomp_syscall_resolve_name(name.c_str());
      if (number != __NR_SCMP_ERROR) {
        add_rule(context.get(), action, number, rule);
      }
    }
  }
  return {export_program(context.get()), flags_of(seccomp.flags)};
}

SeccompFilter load_seccomp(const oci::Seccomp& seccomp, const std::filesystem::path& cache_folder) {
  std::filesystem::path path = cache_folder / entry_name(seccomp);
  if (std::vector<sock_filter> program = read_entry(path); !program.empty()) {
    return {std::move(program), flags_of(seccomp.flags)};
  }
  SeccompFilter filter = compile_seccomp(seccomp);
  make_folders(cache_folder, 0700);
  write_entry(path, filter.program);
  return filter;
}

}  // namespace bulkhead::linux
