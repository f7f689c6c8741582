// libFuzzer target: what a hostile guest says of itself, up to the evaluation of its seccomp filters. It is cut to size, and
// nothing but Error may come of it.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "facts/bounds.h"
#include "facts/facts.pb.h"
#include "facts/filter.h"
#include "facts/reach.h"
#include "support/error.h"

namespace facts = bulkhead::facts;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr uint32_t kX86 = 0xc000003e;  // AUDIT_ARCH_X86_64
  std::string bytes(reinterpret_cast<const char*>(data), size);
  try {
    facts::Verdict verdict = facts::judge(facts::parse_filter(bytes), kX86, size % 500);
    if (!verdict.may_pass && !verdict.may_fail) {
      std::abort();  // every sound program answers
    }
  } catch (const bulkhead::Error&) {  // refused
  }
  facts::Wall wall;
  if (wall.ParseFromString(bytes)) {
    facts::bound(wall);
    facts::evaluate_filters(wall);
  }
  return 0;
}
