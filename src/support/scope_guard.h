// Runs a function at the end of the scope unless dismissed: undo steps of an operation that may fail half-way.
#pragma once

#include <utility>

namespace bulkhead {

template <typename Function>
class [[nodiscard]] ScopeGuard {
 public:
  explicit ScopeGuard(Function function) : function_(std::move(function)) {}
  ScopeGuard(const ScopeGuard&) = delete;
  ScopeGuard& operator=(const ScopeGuard&) = delete;
  ~ScopeGuard() {
    if (armed_) {
      function_();  // must not throw
    }
  }
  /// The operation succeeded: nothing to undo.
  void dismiss() noexcept { armed_ = false; }

 private:
  Function function_;
  bool armed_ = true;
};

}  // namespace bulkhead
