#include "cli/options.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdio>

#include "support/error.h"

namespace bulkhead::cli {
namespace {

// CLI11 takes "--entrypoint=" as an option whose value is the next word; docker's clients write it for an empty value. So an
// empty value travels through CLI11 as this byte, which no word can hold by accident and still mean something.
constexpr char kEmptyValue = '\x01';

bool is_long_option_without_value(std::string_view word) { return word.starts_with("--") && word.ends_with('='); }

std::string restore_empty(std::string word) {
  if (!word.empty() && word.back() == kEmptyValue) {
    word.pop_back();
  }
  return word;
}

Error bad_option(std::string message) { return {ErrorCode::kInvalidArgument, std::move(message)}; }

int64_t parse_number(const std::string& name, const std::string& text) {
  try {
    size_t used = 0;
    int64_t number = std::stoll(text, &used, 0);
    if (used == text.size()) {
      return number;
    }
  } catch (const std::logic_error&) {  // no number at all, or out of range: the same message
  }
  throw bad_option(fmt::format("invalid argument '{}' for '{}': write a whole number", text, name));
}

bool parse_bool(const std::string& name, const std::string& text) {
  if (text == "true" || text == "1" || text == "t" || text == "T" || text == "TRUE" || text == "True") {
    return true;
  }
  if (text == "false" || text == "0" || text == "f" || text == "F" || text == "FALSE" || text == "False") {
    return false;
  }
  throw bad_option(fmt::format("invalid argument '{}' for '{}': write true or false", text, name));
}

std::string longest_name(const std::string& names) { return names.substr(names.rfind(',') + 1); }

// "-i,--interactive" as "-i, --interactive"; a lone long name is set in by four.
std::string spaced_names(const std::string& names) {
  size_t comma = names.find(',');
  if (comma == std::string::npos) {
    return names.starts_with("--") ? "    " + names : names;
  }
  return names.substr(0, comma) + ", " + names.substr(comma + 1);
}

}  // namespace

struct Options::Parser {
  CLI::App app;

  CLI::Option* add(const std::string& names, const CLI::callback_t& take) {
    CLI::Option* option = app.add_option(names, take);
    option->expected(1)->allow_extra_args(false);
    return option;
  }

  void add_flag(const std::string& names, const CLI::callback_t& take) {
    app.add_option(names, take)->expected(0)->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
  }
};

Options::Options(std::string verb, std::string usage, std::string description, Order order)
    : verb_(std::move(verb)),
      usage_(std::move(usage)),
      description_(std::move(description)),
      order_(order),
      parser_(std::make_unique<Parser>()) {
  parser_->app.set_help_flag();
  parser_->app.allow_extras();
  parser_->app.prefix_command(order == Order::kBeforeArguments);
}
Options::~Options() = default;

void Options::describe(const std::string& names, std::string_view kind, std::string help) {
  std::string text = spaced_names(names);
  lines_.push_back({kind.empty() ? text : fmt::format("{} {}", text, kind), std::move(help)});
}

void Options::flag(const std::string& names, bool& target, std::string help) {
  describe(names, "", std::move(help));
  parser_->add_flag(names, [&target, name = longest_name(names)](const CLI::results_t& results) {
    target = parse_bool(name, results.back());
    return true;
  });
}

void Options::flag(const std::string& names, std::optional<bool>& target, std::string help) {
  describe(names, "", std::move(help));
  parser_->add_flag(names, [&target, name = longest_name(names)](const CLI::results_t& results) {
    target = parse_bool(name, results.back());
    return true;
  });
}

void Options::value(const std::string& names, std::string& target, std::string help) {
  describe(names, "string", std::move(help));
  auto take = [&target](const CLI::results_t& results) {
    target = restore_empty(results.back());
    return true;
  };
  parser_->add(names, take)->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
}

void Options::value(const std::string& names, std::optional<std::string>& target, std::string help) {
  describe(names, "string", std::move(help));
  auto take = [&target](const CLI::results_t& results) {
    target = restore_empty(results.back());
    return true;
  };
  parser_->add(names, take)->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
}

void Options::number(const std::string& names, std::optional<int64_t>& target, std::string help) {
  describe(names, "int", std::move(help));
  auto take = [&target, name = longest_name(names)](const CLI::results_t& results) {
    target = parse_number(name, restore_empty(results.back()));
    return true;
  };
  parser_->add(names, take)->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);
}

void Options::list(const std::string& names, std::vector<std::string>& target, std::string help) {
  describe(names, "list", std::move(help));
  auto take = [&target](const CLI::results_t& results) {
    target.clear();
    std::transform(results.begin(), results.end(), std::back_inserter(target), restore_empty);
    return true;
  };
  parser_->add(names, take)->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
}

Parsed Options::parse(std::vector<std::string> words) {
  bool help = false;
  flag("--help", help, "Print usage");
  for (std::string& word : words) {
    if (is_long_option_without_value(word)) {
      word += kEmptyValue;
    }
  }
  std::reverse(words.begin(), words.end());
  try {
    parser_->app.parse(words);
  } catch (const CLI::ParseError& error) {
    throw bad_option(fmt::format("{}; see 'bulkhead {} --help'", error.what(), verb_));
  }
  if (help) {
    fmt::print("{}", help_text());
    return Parsed::kHelpShown;
  }
  take_arguments(parser_->app.remaining());
  return Parsed::kRun;
}

void Options::take_arguments(std::vector<std::string> rest) {
  bool literal = false;
  for (std::string& word : rest) {
    if (!word.empty() && word.back() == kEmptyValue && is_long_option_without_value(restore_empty(word))) {
      word.pop_back();
    }
    if (!literal && word == "--") {
      literal = true;
      continue;
    }
    if (!literal && word.size() > 1 && word.front() == '-') {
      throw bad_option(fmt::format("unknown option: {}; see 'bulkhead {} --help'", word.substr(0, word.find('=')), verb_));
    }
    literal = literal || order_ == Order::kBeforeArguments;
    arguments_.push_back(std::move(word));
  }
}

void Options::require_arguments(size_t least, size_t most) const {
  if (arguments_.size() >= least && arguments_.size() <= most) {
    return;
  }
  std::string wanted = least == most               ? fmt::format("exactly {}", least)
                       : most == SIZE_MAX          ? fmt::format("at least {}", least)
                       : arguments_.size() < least ? fmt::format("at least {}", least)
                                                   : fmt::format("at most {}", most);
  size_t bound = least == most || arguments_.size() < least || most == SIZE_MAX ? least : most;
  throw bad_option(
      fmt::format("'{}' requires {} argument{}; usage: bulkhead {} {}", verb_, wanted, bound == 1 ? "" : "s", verb_, usage_));
}

std::string Options::help_text() const {
  std::string text = fmt::format("Usage:  bulkhead {} {}\n\n{}\n\nOptions:\n", verb_, usage_, description_);
  size_t width = 0;
  for (const Line& line : lines_) {
    width = std::max(width, line.names.size());
  }
  for (const Line& line : lines_) {
    text += fmt::format("  {:<{}}   {}\n", line.names, width, line.help);
  }
  return text;
}

}  // namespace bulkhead::cli
