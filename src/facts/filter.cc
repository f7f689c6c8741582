#include "facts/filter.h"

#include <linux/seccomp.h>

#include <array>
#include <cstddef>
#include <cstring>
#include <map>
#include <optional>

#include "support/error.h"

namespace bulkhead::facts {
namespace {

using Value = std::optional<uint32_t>;  // nothing: depends on the arguments

/// What is known before an instruction, over all ways to it.
struct State {
  Value a = 0, x = 0;
  std::array<Value, BPF_MEMWORDS> memory{};  // a cell that was not written is unknown
};

void merge(Value& into, const Value& other) {
  if (into != other) {
    into.reset();
  }
}

void merge(State& into, const State& other) {
  merge(into.a, other.a);
  merge(into.x, other.x);
  for (size_t i = 0; i < into.memory.size(); ++i) {
    merge(into.memory[i], other.memory[i]);
  }
}

Value operate(uint16_t operation, const Value& a, const Value& operand) {
  if (operation == BPF_NEG) {
    return a ? Value(0U - *a) : std::nullopt;
  }
  if (!a || !operand) {
    return std::nullopt;
  }
  switch (operation) {
    case BPF_ADD: return *a + *operand;
    case BPF_SUB: return *a - *operand;
    case BPF_MUL: return *a * *operand;
    case BPF_DIV: return *operand == 0 ? std::nullopt : Value(*a / *operand);
    case BPF_AND: return *a & *operand;
    case BPF_OR: return *a | *operand;
    case BPF_XOR: return *a ^ *operand;
    case BPF_LSH: return *operand > 31 ? std::nullopt : Value(*a << *operand);
    case BPF_RSH: return *operand > 31 ? std::nullopt : Value(*a >> *operand);
    default: return std::nullopt;
  }
}

std::optional<bool> compare(uint16_t operation, const Value& a, const Value& operand) {
  if (!a || !operand) {
    return std::nullopt;
  }
  switch (operation) {
    case BPF_JEQ: return *a == *operand;
    case BPF_JGT: return *a > *operand;
    case BPF_JGE: return *a >= *operand;
    default: return (*a & *operand) != 0;
  }
}

void add_answer(const Value& answer, Verdict& verdict) {
  if (!answer) {
    verdict = {.may_pass = true, .may_fail = true};
    return;
  }
  switch (*answer & SECCOMP_RET_ACTION_FULL) {
    case SECCOMP_RET_ALLOW:
    case SECCOMP_RET_LOG: verdict.may_pass = true; break;
    case SECCOMP_RET_TRACE:
    case SECCOMP_RET_USER_NOTIF: verdict = {.may_pass = true, .may_fail = true}; break;
    default: verdict.may_fail = true;
  }
}

class Evaluation {
 public:
  Evaluation(const FilterProgram& program, uint32_t architecture, uint32_t call)
      : program_(program), architecture_(architecture), call_(call) {}

  Verdict run() {
    // Jumps only go forward: the first that waits is reached by no way that is still to be gone.
    waiting_.emplace(0, State{});
    while (!waiting_.empty()) {
      auto first = waiting_.extract(waiting_.begin());
      step(first.key(), first.mapped());
    }
    return verdict_;
  }

 private:
  Value load(uint32_t offset) const {
    switch (offset) {
      case offsetof(seccomp_data, nr): return call_;
      case offsetof(seccomp_data, arch): return architecture_;
      default: return std::nullopt;
    }
  }

  void go_to(size_t index, const State& state) {
    auto [entry, is_first] = waiting_.try_emplace(index, state);
    if (!is_first) {
      merge(entry->second, state);
    }
  }

  void step(size_t index, State& next) {
    const sock_filter& instruction = program_[index];
    switch (BPF_CLASS(instruction.code)) {
      case BPF_LD: next.a = loaded(instruction, next); break;
      case BPF_LDX: next.x = loaded(instruction, next); break;
      case BPF_ST: next.memory[instruction.k] = next.a; break;
      case BPF_STX: next.memory[instruction.k] = next.x; break;
      case BPF_ALU: next.a = operate(BPF_OP(instruction.code), next.a, operand(instruction, next)); break;
      case BPF_JMP: jump(index, next); return;
      case BPF_RET: add_answer(BPF_RVAL(instruction.code) == BPF_A ? next.a : Value(instruction.k), verdict_); return;
      default: BPF_MISCOP(instruction.code) == BPF_TAX ? void(next.x = next.a) : void(next.a = next.x);
    }
    go_to(index + 1, next);
  }

  Value loaded(const sock_filter& instruction, const State& state) const {
    switch (BPF_MODE(instruction.code)) {
      case BPF_IMM: return instruction.k;
      case BPF_MEM: return state.memory[instruction.k];
      case BPF_LEN: return static_cast<uint32_t>(sizeof(seccomp_data));
      default: return load(instruction.k);
    }
  }

  static Value operand(const sock_filter& instruction, const State& state) {
    return BPF_SRC(instruction.code) == BPF_X ? state.x : Value(instruction.k);
  }

  void jump(size_t index, const State& state) {
    const sock_filter& instruction = program_[index];
    if (BPF_OP(instruction.code) == BPF_JA) {
      go_to(index + 1 + instruction.k, state);
      return;
    }
    std::optional<bool> holds = compare(BPF_OP(instruction.code), state.a, operand(instruction, state));
    if (holds.value_or(true)) {
      go_to(index + 1 + instruction.jt, state);
    }
    if (!holds.value_or(false)) {
      go_to(index + 1 + instruction.jf, state);
    }
  }

  const FilterProgram& program_;
  uint32_t architecture_, call_;
  std::map<size_t, State> waiting_;  // what is known before an instruction that was not looked at yet
  Verdict verdict_;
};

/// As the kernel's bpf_check_classic and seccomp_check_filter do.
bool is_sound(const FilterProgram& program, size_t index) {
  const sock_filter& instruction = program[index];
  size_t left = program.size() - index - 1;
  switch (instruction.code) {
    case BPF_LD | BPF_W | BPF_ABS: return instruction.k < sizeof(seccomp_data) && instruction.k % 4 == 0 && left > 0;
    case BPF_LD | BPF_IMM:
    case BPF_LDX | BPF_IMM:
    case BPF_LD | BPF_W | BPF_LEN:
    case BPF_LDX | BPF_W | BPF_LEN:
    case BPF_MISC | BPF_TAX:
    case BPF_MISC | BPF_TXA:
    case BPF_ALU | BPF_NEG: return left > 0;
    case BPF_LD | BPF_MEM:
    case BPF_LDX | BPF_MEM:
    case BPF_ST:
    case BPF_STX: return instruction.k < BPF_MEMWORDS && left > 0;
    case BPF_RET | BPF_K:
    case BPF_RET | BPF_A: return true;
    case BPF_JMP | BPF_JA: return instruction.k < left;
    default: break;
  }
  uint16_t operation = BPF_OP(instruction.code);
  if (BPF_CLASS(instruction.code) == BPF_ALU) {
    bool plain = (instruction.code & ~(BPF_OP(0xffff) | BPF_X | BPF_ALU)) == 0;
    return plain && left > 0 && operation != BPF_MOD && operation <= BPF_XOR;
  }
  bool conditional = operation == BPF_JEQ || operation == BPF_JGT || operation == BPF_JGE || operation == BPF_JSET;
  return instruction.code <= 0xff && BPF_CLASS(instruction.code) == BPF_JMP && conditional && instruction.jt < left &&
         instruction.jf < left;
}

}  // namespace

FilterProgram parse_filter(std::string_view bytes) {
  if (bytes.empty() || bytes.size() % sizeof(sock_filter) != 0 || bytes.size() / sizeof(sock_filter) > BPF_MAXINSNS) {
    throw Error(ErrorCode::kDataLoss, "a seccomp filter has a size that none can have");
  }
  FilterProgram program(bytes.size() / sizeof(sock_filter));
  std::memcpy(program.data(), bytes.data(), bytes.size());
  for (size_t i = 0; i < program.size(); ++i) {
    if (!is_sound(program, i)) {
      throw Error(ErrorCode::kDataLoss, "a seccomp filter is none that a kernel takes");
    }
  }
  return program;
}

Verdict judge(const FilterProgram& program, uint32_t architecture, uint32_t call) {
  return Evaluation(program, architecture, call).run();
}

}  // namespace bulkhead::facts
