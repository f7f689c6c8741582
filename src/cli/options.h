// A verb's options, parsed as docker parses them (long and short names, `-itw /x`, `--rm=false`), on top of CLI11.
// Made by one verb, used once. Targets must outlive `parse`.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace bulkhead::cli {

/// Whether options may follow the first argument: `rm x -f` is fine, in `run image -f` the -f is the container's.
enum class Order { kAnywhere, kBeforeArguments };
enum class Parsed { kRun, kHelpShown };

class Options {
 public:
  /// `usage` is what follows the verb: "[OPTIONS] IMAGE [COMMAND] [ARG...]".
  Options(std::string verb, std::string usage, std::string description, Order order = Order::kAnywhere);
  ~Options();
  Options(const Options&) = delete;
  Options& operator=(const Options&) = delete;

  /// `names` as in "-i,--interactive". The last one given wins, but for lists.
  void flag(const std::string& names, bool& target, std::string help);
  void flag(const std::string& names, std::optional<bool>& target, std::string help);
  void value(const std::string& names, std::string& target, std::string help);
  void value(const std::string& names, std::optional<std::string>& target, std::string help);
  void number(const std::string& names, std::optional<int64_t>& target, std::string help);
  void list(const std::string& names, std::vector<std::string>& target, std::string help);

  /// Takes what follows the verb. Throws kInvalidArgument naming the option; with --help prints the help.
  Parsed parse(std::vector<std::string> words);
  /// What is no option, after `parse`.
  const std::vector<std::string>& arguments() const { return arguments_; }
  /// Throws kInvalidArgument with the usage where there are fewer or more arguments.
  void require_arguments(size_t least, size_t most = SIZE_MAX) const;
  std::string help_text() const;

 private:
  struct Parser;
  struct Line {
    std::string names, help;
  };
  void describe(const std::string& names, std::string_view kind, std::string help);
  void take_arguments(std::vector<std::string> rest);

  std::string verb_, usage_, description_;
  Order order_;
  std::unique_ptr<Parser> parser_;
  std::vector<Line> lines_;
  std::vector<std::string> arguments_;
};

}  // namespace bulkhead::cli
