#include "linux/process_stat.h"

#include <iterator>
#include <sstream>

namespace bulkhead::linux {
namespace {

constexpr size_t kFirst = 3;  // behind pid and name

}  // namespace

std::optional<ProcessStat> ProcessStat::parse(std::string_view text) {
  size_t begin = text.find('(');
  size_t end = text.rfind(')');  // the name may hold any character
  if (begin == std::string_view::npos || end == std::string_view::npos || end < begin) {
    return std::nullopt;
  }
  ProcessStat stat;
  stat.name_ = text.substr(begin + 1, end - begin - 1);
  std::istringstream rest{std::string(text.substr(end + 1))};
  stat.fields_.assign(std::istream_iterator<std::string>(rest), {});
  return stat;
}

std::string ProcessStat::field(size_t number) const {
  return number >= kFirst && number - kFirst < fields_.size() ? fields_[number - kFirst] : std::string();
}

}  // namespace bulkhead::linux
