#include "linux/device_filter.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>

#include "support/error.h"
#include "support/files.h"
#include "support/unique_fd.h"

namespace bulkhead::linux {

namespace {

// Registers while the program runs: r1 the context, then r2 type, r3 access, r4 major, r5 minor; r6 scratch.
constexpr uint8_t kResult = BPF_REG_0;
constexpr uint8_t kContext = BPF_REG_1;
constexpr uint8_t kType = BPF_REG_2;
constexpr uint8_t kAccess = BPF_REG_3;
constexpr uint8_t kMajor = BPF_REG_4;
constexpr uint8_t kMinor = BPF_REG_5;
constexpr uint8_t kScratch = BPF_REG_6;

bpf_insn instruction(int code, uint8_t destination, uint8_t source, int16_t offset, int32_t immediate) {
  bpf_insn out{};
  out.code = static_cast<uint8_t>(code);
  out.dst_reg = destination & 0xF;
  out.src_reg = source & 0xF;
  out.off = offset;
  out.imm = immediate;
  return out;
}

int32_t access_bits(const std::string& access) {
  int32_t bits = 0;
  for (char c : access) {
    bits |= c == 'r' ? BPF_DEVCG_ACC_READ : c == 'w' ? BPF_DEVCG_ACC_WRITE : BPF_DEVCG_ACC_MKNOD;
  }
  return bits;
}

constexpr int32_t kAllAccess = BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE | BPF_DEVCG_ACC_MKNOD;

// One rule: each comparison that fails jumps behind the rule's end; at its end the program returns.
void add_rule(std::vector<bpf_insn>& program, const oci::DeviceRule& rule) {
  std::vector<bpf_insn> body;
  std::vector<size_t> jumps;
  const auto unless_equal = [&](uint8_t reg, int64_t value) {
    jumps.push_back(body.size());
    body.push_back(instruction(BPF_JMP32 | BPF_JNE | BPF_K, reg, 0, 0, static_cast<int32_t>(value)));
  };
  if (rule.type != 'a') {
    unless_equal(kType, rule.type == 'b' ? BPF_DEVCG_DEV_BLOCK : BPF_DEVCG_DEV_CHAR);
  }
  int32_t bits = access_bits(rule.access);
  if (bits != kAllAccess) {
    // An allowing rule must cover the whole access; a denying one matches where it touches any of it.
    body.push_back(instruction(BPF_ALU | BPF_MOV | BPF_X, kScratch, kAccess, 0, 0));
    body.push_back(instruction(BPF_ALU | BPF_AND | BPF_K, kScratch, 0, 0, rule.allow ? kAllAccess & ~bits : bits));
    jumps.push_back(body.size());
    body.push_back(instruction(BPF_JMP32 | (rule.allow ? BPF_JNE : BPF_JEQ) | BPF_K, kScratch, 0, 0, 0));
  }
  if (rule.major) {
    unless_equal(kMajor, *rule.major);
  }
  if (rule.minor) {
    unless_equal(kMinor, *rule.minor);
  }
  body.push_back(instruction(BPF_ALU64 | BPF_MOV | BPF_K, kResult, 0, 0, rule.allow ? 1 : 0));
  body.push_back(instruction(BPF_JMP | BPF_EXIT, 0, 0, 0, 0));
  for (size_t jump : jumps) {
    body[jump].off = static_cast<int16_t>(body.size() - jump - 1);
  }
  program.insert(program.end(), body.begin(), body.end());
}

int bpf(int command, bpf_attr& attributes) {
  return static_cast<int>(::syscall(SYS_bpf, command, &attributes, sizeof(attributes)));
}

UniqueFd load_program(const std::vector<bpf_insn>& program) {
  static constexpr std::array<char, 7> kLicense{"Apache"};
  bpf_attr attributes{};
  attributes.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
  attributes.insns = reinterpret_cast<uint64_t>(program.data());
  attributes.insn_cnt = static_cast<uint32_t>(program.size());
  attributes.license = reinterpret_cast<uint64_t>(kLicense.data());
  UniqueFd fd(bpf(BPF_PROG_LOAD, attributes));
  if (!fd) {
    throw system_error("load the device filter");
  }
  return fd;
}

std::vector<uint32_t> attached_programs(int folder) {
  std::array<uint32_t, 64> ids{};
  bpf_attr attributes{};
  attributes.query.target_fd = static_cast<uint32_t>(folder);
  attributes.query.attach_type = BPF_CGROUP_DEVICE;
  attributes.query.prog_ids = reinterpret_cast<uint64_t>(ids.data());
  attributes.query.prog_cnt = ids.size();
  if (bpf(BPF_PROG_QUERY, attributes) != 0) {
    throw system_error("query device filters");
  }
  return {ids.begin(), ids.begin() + attributes.query.prog_cnt};
}

void detach_program(int folder, uint32_t id) {
  bpf_attr by_id{};
  by_id.prog_id = id;
  UniqueFd program(bpf(BPF_PROG_GET_FD_BY_ID, by_id));
  bpf_attr attributes{};
  attributes.target_fd = static_cast<uint32_t>(folder);
  attributes.attach_bpf_fd = static_cast<uint32_t>(program.get());
  attributes.attach_type = BPF_CGROUP_DEVICE;
  if (!program || bpf(BPF_PROG_DETACH, attributes) != 0) {
    throw system_error("detach a device filter");
  }
}

}  // namespace

std::vector<bpf_insn> compile_device_filter(const std::vector<oci::DeviceRule>& rules) {
  std::vector<bpf_insn> program{
      instruction(BPF_LDX | BPF_MEM | BPF_W, kType, kContext, offsetof(bpf_cgroup_dev_ctx, access_type), 0),
      instruction(BPF_ALU | BPF_MOV | BPF_X, kAccess, kType, 0, 0),
      instruction(BPF_ALU | BPF_AND | BPF_K, kType, 0, 0, 0xFFFF),
      instruction(BPF_ALU | BPF_RSH | BPF_K, kAccess, 0, 0, 16),
      instruction(BPF_LDX | BPF_MEM | BPF_W, kMajor, kContext, offsetof(bpf_cgroup_dev_ctx, major), 0),
      instruction(BPF_LDX | BPF_MEM | BPF_W, kMinor, kContext, offsetof(bpf_cgroup_dev_ctx, minor), 0),
  };
  // The last match wins: so the last rule is asked first. One that matches everything ends the program; what would follow can't
  // be reached, and the kernel's verifier refuses unreachable code.
  for (auto rule = rules.rbegin(); rule != rules.rend(); ++rule) {
    add_rule(program, *rule);
    if (rule->type == 'a' && !rule->major && !rule->minor && access_bits(rule->access) == kAllAccess) {
      return program;
    }
  }
  program.push_back(instruction(BPF_ALU64 | BPF_MOV | BPF_K, kResult, 0, 0, 0));
  program.push_back(instruction(BPF_JMP | BPF_EXIT, 0, 0, 0, 0));
  return program;
}

void attach_device_filter(const std::filesystem::path& cgroup_folder, const std::vector<oci::DeviceRule>& rules) {
  UniqueFd folder = open_file(cgroup_folder, O_RDONLY | O_DIRECTORY);
  UniqueFd program = load_program(compile_device_filter(rules));
  std::vector<uint32_t> old = attached_programs(folder.get());
  bpf_attr attributes{};
  attributes.target_fd = static_cast<uint32_t>(folder.get());
  attributes.attach_bpf_fd = static_cast<uint32_t>(program.get());
  attributes.attach_type = BPF_CGROUP_DEVICE;
  attributes.attach_flags = BPF_F_ALLOW_MULTI;
  if (bpf(BPF_PROG_ATTACH, attributes) != 0) {
    throw system_error(fmt::format("attach the device filter to '{}'", cgroup_folder.native()));
  }
  // SECURITY: the new one first. All attached programs must agree to allow: never a moment without a filter.
  for (uint32_t id : old) {
    detach_program(folder.get(), id);
  }
}

}  // namespace bulkhead::linux
