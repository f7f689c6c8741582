#include "facts/filter.h"

#include <gtest/gtest.h>
#include <linux/audit.h>
#include <linux/seccomp.h>

#include <cstddef>
#include <string>

#include "support/error.h"

namespace bulkhead::facts {
namespace {

constexpr uint32_t kNumber = offsetof(seccomp_data, nr);
constexpr uint32_t kArchitecture = offsetof(seccomp_data, arch);
constexpr uint32_t kArgument = offsetof(seccomp_data, args);

sock_filter load(uint32_t offset) { return BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offset); }
sock_filter equals(uint32_t value, uint8_t yes, uint8_t no) { return BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, yes, no); }
sock_filter answer(uint32_t value) { return BPF_STMT(BPF_RET | BPF_K, value); }

FilterProgram parse(const FilterProgram& program) {
  return parse_filter({reinterpret_cast<const char*>(program.data()), program.size() * sizeof(sock_filter)});
}

enum class Answer { kPasses, kFails, kDepends };
Answer ask(const FilterProgram& program, uint32_t call, uint32_t architecture = AUDIT_ARCH_X86_64) {
  Verdict verdict = judge(parse(program), architecture, call);
  EXPECT_TRUE(verdict.may_pass || verdict.may_fail);
  return verdict.may_pass && verdict.may_fail ? Answer::kDepends : verdict.may_pass ? Answer::kPasses : Answer::kFails;
}

TEST(Filter, DecidesByNumber) {
  FilterProgram program = {load(kNumber), equals(39, 0, 1), answer(SECCOMP_RET_ALLOW), answer(SECCOMP_RET_ERRNO | 1)};
  EXPECT_EQ(ask(program, 39), Answer::kPasses);
  EXPECT_EQ(ask(program, 40), Answer::kFails);
}

TEST(Filter, DecidesByArchitecture) {
  FilterProgram program = {load(kArchitecture), equals(AUDIT_ARCH_I386, 1, 0), answer(SECCOMP_RET_ALLOW),
                           answer(SECCOMP_RET_KILL_PROCESS)};
  EXPECT_EQ(ask(program, 1), Answer::kPasses);
  EXPECT_EQ(ask(program, 1, AUDIT_ARCH_I386), Answer::kFails);
}

TEST(Filter, AnArgumentLeavesBothOpen) {
  FilterProgram program = {load(kNumber),   equals(39, 0, 3),          load(kArgument),
                           equals(7, 0, 1), answer(SECCOMP_RET_ALLOW), answer(SECCOMP_RET_ERRNO)};
  EXPECT_EQ(ask(program, 39), Answer::kDepends);
  EXPECT_EQ(ask(program, 40), Answer::kFails);
}

TEST(Filter, BranchesThatMeetKeepWhatTheyAgreeOn) {
  // Whatever the argument is, A is the number again.
  FilterProgram program = {load(kArgument), equals(7, 0, 0),           load(kNumber),
                           equals(3, 0, 1), answer(SECCOMP_RET_ALLOW), answer(SECCOMP_RET_TRAP)};
  EXPECT_EQ(ask(program, 3), Answer::kPasses);
  EXPECT_EQ(ask(program, 4), Answer::kFails);
}

TEST(Filter, CalculatesAsTheKernelDoes) {
  FilterProgram program = {load(kNumber),
                           BPF_STMT(BPF_ST, 2),
                           BPF_STMT(BPF_LDX | BPF_MEM, 2),
                           BPF_STMT(BPF_ALU | BPF_ADD | BPF_X, 0),
                           BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xf),
                           BPF_STMT(BPF_ALU | BPF_LSH | BPF_K, 1),
                           BPF_STMT(BPF_MISC | BPF_TAX, 0),
                           BPF_STMT(BPF_MISC | BPF_TXA, 0),
                           BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, 11, 0, 1),
                           answer(SECCOMP_RET_LOG),
                           answer(SECCOMP_RET_KILL_THREAD)};
  EXPECT_EQ(ask(program, 3), Answer::kPasses);  // (3 + 3) * 2 = 12
  EXPECT_EQ(ask(program, 2), Answer::kFails);
}

TEST(Filter, AnAnswerThatIsCalculatedFromAnArgumentIsOpen) {
  EXPECT_EQ(ask({load(kArgument), BPF_STMT(BPF_RET | BPF_A, 0)}, 1), Answer::kDepends);
  EXPECT_EQ(ask({load(kNumber), BPF_STMT(BPF_RET | BPF_A, 0)}, SECCOMP_RET_ALLOW), Answer::kPasses);
}

TEST(Filter, WhatATracerMayLetThroughIsOpen) { EXPECT_EQ(ask({answer(SECCOMP_RET_TRACE | 1)}, 1), Answer::kDepends); }

TEST(Filter, AsManyBranchesAsYouLikeTakeNoTime) {
  FilterProgram program;
  while (program.size() < BPF_MAXINSNS - 3) {  // 2^2000 ways through
    program.push_back(load(kArgument));
    program.push_back(equals(static_cast<uint32_t>(program.size()), 0, 1));
  }
  program.push_back(answer(SECCOMP_RET_ERRNO));
  program.push_back(answer(SECCOMP_RET_ALLOW));
  EXPECT_EQ(ask(program, 1), Answer::kDepends);
}

TEST(Filter, RefusesWhatNoKernelTakes) {
  const FilterProgram bad[] = {
      {load(kNumber)},                                      // runs past the end
      {load(3), answer(0)},                                 // unaligned
      {load(sizeof(seccomp_data)), answer(0)},              // outside
      {equals(1, 1, 0), answer(0)},                         // jumps out
      {BPF_STMT(BPF_JMP | BPF_JA, 0xffffffff), answer(0)},  // likewise
      {BPF_STMT(BPF_ST, BPF_MEMWORDS), answer(0)},          // outside of memory
      {BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 0), answer(0)},   // no such load
      {BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, 2), answer(0)},  // no such operation
      {BPF_STMT(0xff, 0), answer(0)},
      {BPF_STMT(0x1000 | BPF_JMP | BPF_JEQ, 0), answer(0)},
  };
  for (const FilterProgram& program : bad) {
    EXPECT_THROW(parse(program), Error);
  }
  EXPECT_THROW(parse_filter(""), Error);
  EXPECT_THROW(parse_filter("1234567"), Error);
  EXPECT_THROW(parse_filter(std::string(size_t{8} * (BPF_MAXINSNS + 1), '\0')), Error);
}

}  // namespace
}  // namespace bulkhead::facts
