#include "cli/application.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstdio>
#include <string_view>

#include "cli/error_text.h"
#include "cli/options.h"
#include "cli/verbs.h"
#include "support/error.h"

namespace bulkhead::cli {
namespace {

struct Verb {
  std::string_view name, summary;
  int (*run)(Api&, Words);
  int exit_code_of_errors = 1;  // docker's: 125 where the container's own exit code is the usual one
};

constexpr std::array kVerbs = {
    Verb{"run", "Create and run a new container from an image", run_run, 125},
    Verb{"exec", "Run a command in a running container", run_exec},
    Verb{"ps", "List containers", run_ps},
    Verb{"logs", "Show a container's output", run_logs},
    Verb{"attach", "Attach to a running container's streams", run_attach},
    Verb{"create", "Create a container without starting it", run_create},
    Verb{"start", "Start stopped containers", run_start},
    Verb{"stop", "Stop running containers", run_stop},
    Verb{"restart", "Restart containers", run_restart},
    Verb{"kill", "Send a signal to running containers", run_kill},
    Verb{"wait", "Wait until containers end, then print their exit codes", run_wait},
    Verb{"rm", "Remove containers", run_rm},
    Verb{"rename", "Give a container another name", run_rename},
    Verb{"pause", "Freeze all processes of containers", run_pause},
    Verb{"unpause", "Let the processes of paused containers go on", run_unpause},
    Verb{"top", "Show the processes of a container", run_top},
    Verb{"inspect", "Show everything about containers or images", run_inspect},
    Verb{"images", "List images", run_images},
    Verb{"pull", "Get an image from a registry", run_pull},
    Verb{"rmi", "Remove images", run_rmi},
    Verb{"tag", "Give an image another name", run_tag},
    Verb{"history", "Show the steps an image was made in", run_history},
    Verb{"load", "Read images from a tar archive", run_load},
    Verb{"import", "Make an image of a root file system's tar archive", run_import},
    Verb{"compat", "Show on which hosts an image runs, and in which mode", run_compat},
    Verb{"doctor", "Check what isolation needs of this host", run_doctor},
    Verb{"explain", "Show what stands between a container and the host, measured", run_explain},
    Verb{"kernel", "List, add and remove the kernels of hyperv isolation", run_kernel},
    Verb{"policy", "Check a policy, and see what it decided and why", run_policy},
    Verb{"info", "Show what the engine is and can do", run_info},
    Verb{"version", "Show the versions of client and engine", run_version},
};

// docker's grouped spellings of the same verbs.
struct Alias {
  std::string_view group, name, verb;
};
constexpr std::array kAliases = {
    Alias{"container", "ls", "ps"},     Alias{"container", "list", "ps"}, Alias{"image", "ls", "images"},
    Alias{"image", "list", "images"},   Alias{"image", "rm", "rmi"},      Alias{"image", "remove", "rmi"},
    Alias{"container", "remove", "rm"},
};

const Verb* find_verb(std::string_view name) {
  const auto* found = std::find_if(kVerbs.begin(), kVerbs.end(), [&](const Verb& verb) { return verb.name == name; });
  return found == kVerbs.end() ? nullptr : found;
}

void print_help(const Options& options) {
  fmt::print("{}\nVerbs:\n", options.help_text());
  for (const Verb& verb : kVerbs) {
    fmt::print("  {:<10}{}\n", verb.name, verb.summary);
  }
  fmt::print("\n'bulkhead VERB --help' shows a verb's options.\n");
}

/// Takes the verb off the front of `words`.
const Verb& take_verb(Words& words) {
  std::string name = words.front();
  words.erase(words.begin());
  if ((name == "container" || name == "image" || name == "system") && !words.empty()) {
    std::string group = std::exchange(name, words.front());
    words.erase(words.begin());
    for (const Alias& alias : kAliases) {
      if (alias.group == group && alias.name == name) {
        name = alias.verb;
        break;
      }
    }
  }
  const Verb* verb = find_verb(name);
  if (verb == nullptr) {
    throw Error(ErrorCode::kInvalidArgument, fmt::format("'{}' is no verb; 'bulkhead --help' lists them", name));
  }
  return *verb;
}

int report(const Error& error, std::string_view verb, int exit_code) {
  // What was printed so far comes before the error where both go to the same place.
  (void)fflush(stdout);
  fmt::print(stderr, "bulkhead: {}\n", error_text(error, verb));
  return exit_code;
}

}  // namespace

int run_application(std::vector<std::string> words) {
  std::string_view verb_name;
  int exit_code_of_errors = 125;
  try {
    Place place;
    bool version = false;
    Options options("[OPTIONS]", "VERB [ARGUMENTS]", "Runs containers, each behind the wall that it asks for.",
                    Order::kBeforeArguments);
    options.value("-H,--host", place.host, "Where the engine listens: unix:///path or tcp://address:port (BULKHEAD_HOST)");
    options.flag("--tlsverify", place.tls.verify, "Speak TLS, and verify the engine (DOCKER_TLS_VERIFY)");
    options.flag("--tls", place.tls.tls, "Refused without --tlsverify: it would speak to anybody who answers");
    options.value("--tlscacert", place.tls.ca, "Trust engines whose certificate this CA signed (DOCKER_CERT_PATH/ca.pem)");
    options.value("--tlscert", place.tls.certificate, "Certificate to show to the engine (DOCKER_CERT_PATH/cert.pem)");
    options.value("--tlskey", place.tls.key, "Its key (DOCKER_CERT_PATH/key.pem)");
    options.value("--root", place.root, "State folder of an engine that is started here");
    options.value("--run-root", place.run_root, "Run-time folder of an engine that is started here");
    options.flag("-v,--version", version, "Print the client's version");
    bool no_words = words.empty() || (words.size() == 1 && (words[0] == "help" || words[0] == "--help"));
    if (no_words) {
      print_help(options);
      return 0;
    }
    if (options.parse(std::move(words)) == Parsed::kHelpShown) {
      return 0;
    }
    if (version) {
      fmt::print("Bulkhead version {}\n", BULKHEAD_VERSION);
      return 0;
    }
    options.require_arguments(1);
    Words rest = options.arguments();
    const Verb& verb = take_verb(rest);
    verb_name = verb.name;
    exit_code_of_errors = verb.exit_code_of_errors;
    Api api(std::move(place));
    int exit_code = verb.run(api, std::move(rest));
    if (fflush(stdout) != 0) {
      throw system_error("write to standard output");
    }
    return exit_code;
  } catch (const Error& error) {
    return report(error, verb_name, exit_code_of_errors);
  } catch (const std::exception& error) {
    return report(Error(ErrorCode::kInternal, error.what()), verb_name, exit_code_of_errors);
  }
}

}  // namespace bulkhead::cli
