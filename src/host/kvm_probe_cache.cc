#include "host/kvm_probe_cache.h"

#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <optional>
#include <string>
#include <string_view>

#include "support/error.h"
#include "support/files.h"
#include "support/random.h"

namespace bulkhead::host {
namespace {

constexpr std::chrono::milliseconds kLimit(1000);
constexpr std::string_view kWorksWord = "works";
constexpr std::string_view kBrokenWord = "broken";

/// Another boot, or a device that came anew with its module, is another question.
std::string question(const std::filesystem::path& device) {
  struct stat status {};
  if (::stat(device.c_str(), &status) != 0) {
    return "";
  }
  std::string boot = read_file("/proc/sys/kernel/random/boot_id", 64);
  boot.resize(boot.find_last_not_of('\n') + 1);
  return fmt::format("{} {} {} {}.{}", boot, device.native(), status.st_ino, status.st_ctim.tv_sec, status.st_ctim.tv_nsec);
}

std::optional<KvmProbe> parse(const std::string& text, const std::string& asked) {
  // question, answer, reason: a line each
  size_t first = text.find('\n');
  size_t second = first == std::string::npos ? first : text.find('\n', first + 1);
  if (second == std::string::npos || text.substr(0, first) != asked || !text.ends_with('\n')) {
    return std::nullopt;
  }
  std::string_view answer = std::string_view(text).substr(first + 1, second - first - 1);
  std::string reason = text.substr(second + 1, text.size() - second - 2);
  if (answer == kWorksWord) {
    return KvmProbe{.answer = KvmAnswer::kWorks, .reason = reason};
  }
  if (answer == kBrokenWord) {
    return KvmProbe{.answer = KvmAnswer::kBroken, .reason = reason};
  }
  return std::nullopt;
}

void keep(const std::filesystem::path& file, const std::string& asked, const KvmProbe& probe) {
  std::string_view word = probe.answer == KvmAnswer::kWorks ? kWorksWord : kBrokenWord;
  // A name of its own before it appears under the common one: others may be writing too.
  std::filesystem::path mine = file;
  mine += "-" + random_hex(8);
  replace_file(mine, fmt::format("{}\n{}\n{}\n", asked, word, probe.reason), 0600, Durability::kUnsynced);
  std::filesystem::rename(mine, file);
}

}  // namespace

KvmProbe probe_kvm_once(const std::filesystem::path& cache_folder, const std::filesystem::path& device) {
  if (cache_folder.empty()) {
    return probe_kvm(kLimit, device);
  }
  const std::filesystem::path file = cache_folder / "kvm-probe";
  std::string asked;
  try {
    asked = question(device);
    if (auto known = parse(read_file(file, 4096), asked); known && !asked.empty()) {
      return *known;
    }
  } catch (const Error&) {  // never asked, or it can't be read: ask
  }
  KvmProbe probe = probe_kvm(kLimit, device);
  bool lasting = probe.answer == KvmAnswer::kWorks || probe.answer == KvmAnswer::kBroken;
  if (lasting && !asked.empty()) {
    try {
      keep(file, asked, probe);
    } catch (const std::exception&) {  // the next one asks again
    }
  }
  return probe;
}

}  // namespace bulkhead::host
