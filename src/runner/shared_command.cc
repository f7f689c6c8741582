#include "runner/shared_command.h"

#include <sys/mman.h>

#include <cstring>

#include "support/error.h"

namespace bulkhead::runner {
namespace {

constexpr size_t kSize = 4UL << 20;  // reserved, not used: twice what execve(2) takes with the usual limit of the stack

}  // namespace

SharedCommand::SharedCommand() {
  void* memory = ::mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) {
    throw system_error("share the memory of a command");
  }
  head_ = static_cast<Head*>(memory);
  used_ = sizeof(Head);
}

SharedCommand::~SharedCommand() { ::munmap(head_, kSize); }

void* SharedCommand::take(size_t bytes) {
  constexpr size_t kAlignment = alignof(std::max_align_t);
  size_t begin = (used_ + kAlignment - 1) / kAlignment * kAlignment;
  if (bytes > kSize || begin > kSize - bytes) {
    throw Error(ErrorCode::kResourceExhausted, "the container's command and environment are too long");
  }
  used_ = begin + bytes;
  return reinterpret_cast<char*>(head_) + begin;
}

const char* const* SharedCommand::copy(const std::vector<const char*>& texts) {
  auto** copies = static_cast<const char**>(take(texts.size() * sizeof(const char*)));
  for (size_t i = 0; i < texts.size(); ++i) {
    copies[i] = nullptr;
    if (texts[i] != nullptr) {
      size_t size = std::strlen(texts[i]) + 1;
      copies[i] = static_cast<const char*>(std::memcpy(take(size), texts[i], size));
    }
  }
  return copies;
}

void SharedCommand::put(const std::vector<const char*>& candidates, const std::vector<const char*>& argv,
                        const std::vector<const char*>& environment) {
  used_ = sizeof(Head);
  head_->candidates = copy(candidates);
  head_->argv = copy(argv);
  head_->environment = copy(environment);
}

}  // namespace bulkhead::runner
