// /proc/PID/stat (proc_pid_stat(5)), taken apart. Pure.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace bulkhead::linux {

class ProcessStat {
 public:
  /// nullopt where the text is none of stat's.
  static std::optional<ProcessStat> parse(std::string_view text);

  const std::string& name() const { return name_; }
  /// By its number in the manual, from 3 (state) on; empty where there is none.
  std::string field(size_t number) const;

 private:
  std::string name_;
  std::vector<std::string> fields_;
};

}  // namespace bulkhead::linux
