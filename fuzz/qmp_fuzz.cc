// libFuzzer target: what QEMU says over QMP. Nothing but Error may be thrown; the first byte says how the rest is cut.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string_view>

#include "sandbox/vm/qmp.h"
#include "support/error.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) {
    return 0;
  }
  size_t step = size_t{data[0]} + 1;
  std::string_view bytes(reinterpret_cast<const char*>(data) + 1, size - 1);
  bulkhead::sandbox::vm::QmpReader reader;
  try {
    while (!bytes.empty()) {
      reader.feed(bytes.substr(0, step));
      bytes.remove_prefix(std::min(step, bytes.size()));
      while (reader.next()) {
      }
    }
  } catch (const bulkhead::Error&) {  // refused: as it should be
  }
  return 0;
}
