#include "facts/reach.h"

#include <fmt/format.h>
#include <linux/audit.h>
#include <seccomp.h>
#include <sys/utsname.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <map>

#include "facts/facts.pb.h"
#include "facts/filter.h"
#include "linux/seccomp.h"
#include "support/error.h"

namespace bulkhead::facts {
namespace {

constexpr uint32_t kMostCalls = 1024;
constexpr int kMostChains = 8;              // evaluated for one container
constexpr size_t kMostInstructions = 8192;  // of one chain

struct Abi {
  const char* name;
  const char* machine;    // that can speak it
  uint32_t token;         // libseccomp's
  uint32_t architecture;  // as a filter sees it
  uint32_t first_call;
};

constexpr std::array kAbis = {
    Abi{"x86_64", "x86_64", SCMP_ARCH_X86_64, AUDIT_ARCH_X86_64, 0},
    Abi{"i386", "x86_64", SCMP_ARCH_X86, AUDIT_ARCH_I386, 0},
    Abi{"x32", "x86_64", SCMP_ARCH_X32, AUDIT_ARCH_X86_64, 0x40000000},
    Abi{"aarch64", "aarch64", SCMP_ARCH_AARCH64, AUDIT_ARCH_AARCH64, 0},
    Abi{"arm", "aarch64", SCMP_ARCH_ARM, AUDIT_ARCH_ARM, 0},
};

/// The numbers (without `first_call`) that have a name.
const std::vector<uint32_t>& calls_of(const Abi& abi) {
  static const std::map<std::string_view, std::vector<uint32_t>> kCalls = [] {
    std::map<std::string_view, std::vector<uint32_t>> all;
    for (const Abi& each : kAbis) {
      for (uint32_t call = 0; call < kMostCalls; ++call) {
        if (char* name = seccomp_syscall_resolve_num_arch(each.token, static_cast<int>(each.first_call + call))) {
          std::free(name);
          all[each.name].push_back(call);
        }
      }
    }
    return all;
  }();
  return kCalls.at(abi.name);
}

Verdict judge_all(const std::vector<FilterProgram>& programs, const Abi& abi, uint32_t call) {
  Verdict all{.may_pass = true, .may_fail = false};
  for (const FilterProgram& program : programs) {
    Verdict one = judge(program, abi.architecture, abi.first_call + call);
    all.may_pass = all.may_pass && one.may_pass;
    all.may_fail = all.may_fail || one.may_fail;
  }
  return all;
}

void fill_reach(std::string_view machine, const std::vector<FilterProgram>& programs, FilterChain& chain) {
  for (const Abi& abi : kAbis) {
    if (machine != abi.machine) {
      continue;
    }
    Reach& reach = *chain.add_reach();
    std::string calls(kMostCalls / 8, '\0');
    for (uint32_t call : calls_of(abi)) {
      Verdict verdict = judge_all(programs, abi, call);
      if (verdict.may_pass) {
        verdict.may_fail ? reach.set_conditional(reach.conditional() + 1) : reach.set_open(reach.open() + 1);
        calls[call / 8] = static_cast<char>(calls[call / 8] | 1 << call % 8);
      }
    }
    reach.set_abi(abi.name);
    reach.set_known(static_cast<uint32_t>(calls_of(abi).size()));
    reach.set_calls(calls);
  }
}

void add_gap(Wall& wall, const std::string& why) {
  Gap& gap = *wall.add_gaps();
  gap.set_what("system calls reachable");
  gap.set_why(why);
}

void evaluate(std::string_view machine, FilterChain& chain) {
  std::vector<FilterProgram> programs;
  size_t instructions = 0;
  for (const std::string& bytes : chain.programs()) {
    programs.push_back(parse_filter(bytes));
    instructions += programs.back().size();
  }
  chain.set_instructions(static_cast<uint32_t>(instructions));
  if (instructions > kMostInstructions) {
    throw Error(
        ErrorCode::kResourceExhausted,
        fmt::format("the filters have {} instructions, more than the {} that are evaluated", instructions, kMostInstructions));
  }
  fill_reach(machine, programs, chain);
}

}  // namespace

void evaluate_filters(Wall& wall) {
  for (int i = 0; i < wall.chains_size(); ++i) {
    FilterChain& chain = *wall.mutable_chains(i);
    chain.clear_reach();  // a guest's own word about it
    try {
      if (i >= kMostChains) {
        throw Error(ErrorCode::kResourceExhausted,
                    fmt::format("only the first {} different filters are evaluated", kMostChains));
      }
      evaluate(wall.kernel().machine(), chain);
      if (chain.reach().empty()) {
        throw Error(ErrorCode::kNotSupported, "the system calls of that kind of machine are not known here");
      }
    } catch (const Error& error) {
      add_gap(wall, error.message());
    }
    chain.clear_programs();
  }
}

void fill_open_reach(std::string_view machine, FilterChain& chain) { fill_reach(machine, {}, chain); }

FilterChain reach_of(const oci::Seccomp& seccomp) {
  utsname names{};
  ::uname(&names);
  FilterChain chain;
  FilterProgram program = linux::compile_seccomp(seccomp).program;
  chain.set_instructions(static_cast<uint32_t>(program.size()));
  fill_reach(names.machine, {program}, chain);
  return chain;
}

}  // namespace bulkhead::facts
