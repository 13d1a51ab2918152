#include "app/cli.hpp"

#include <termios.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <iostream>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "app/app.hpp"
#include "app/check.hpp"
#include "app/config_source.hpp"
#include "app/count.hpp"
#include "app/health.hpp"
#include "app/key_maker.hpp"
#include "app/top.hpp"
#include "app/words.hpp"
#include "simulator/options.hpp"
#include "simulator/simulator.hpp"

namespace weir::app {
namespace {

constexpr int usage_error = 2;

void add_serve_flags(CLI::App& command, Overrides& overrides) {
  command.add_option("--config", overrides.config, "configuration file (WEIR_CONFIG)");
  command.add_option("--listen", overrides.listen, "address for clients, default localhost:8080 (WEIR_LISTEN)");
  command.add_option("--operator-listen", overrides.operator_listen,
                     "address for operators, default 127.0.0.1:8081 (WEIR_OPERATOR_LISTEN)");
  command.add_option("--upstream", overrides.upstream,
                     "URL of the one upstream (WEIR_UPSTREAM; its key in WEIR_UPSTREAM_API_KEY)");
  command.add_option("--rpm", overrides.rpm, "requests per minute of the upstream account (WEIR_RPM)");
  command.add_option("--tpm", overrides.tpm, "tokens per minute of the upstream account (WEIR_TPM)");
  command.add_option("--concurrency", overrides.concurrency,
                     "requests in flight at the upstream account (WEIR_CONCURRENCY)");
  command.add_option("--share", overrides.share, "this instance's part of every limit, e.g. 0.25 (WEIR_SHARE)");
  command.add_option("--workers", overrides.workers,
                     "worker threads, default one per core within affinity and quota (WEIR_WORKERS)");
}

// WEIR_WATCH as a switch; nothing: it is neither on nor off.
std::optional<bool> watch_variable() {
  const std::string value = process_environment().variable("WEIR_WATCH").value_or("");
  if (value == "on") return true;
  if (value.empty() || value == "off") return false;
  return std::nullopt;
}

// Whether the configuration file is to be watched; a text says why it cannot be.
std::variant<bool, std::string> watches(bool asked, const ConfigSource& source) {
  const auto variable = watch_variable();
  if (!variable) return "WEIR_WATCH: expected on or off";
  const bool watch = asked || *variable;
  if (watch && source.path().empty()) return "there is no configuration file to watch; name one with --config";
  return watch;
}

// Cannot be watched. Whatever else is wrong is told at once.
int refuse_watching(std::string_view command, const std::string& problem, const ConfigSource& source) {
  std::cerr << "weir " << command << ": " << problem << '\n';
  const auto result = source.load();
  if (const auto* problems = std::get_if<Problems>(&result)) std::cerr << to_string(*problems);
  return usage_error;
}

int run_check(const Overrides& overrides) {
  const ConfigSource source(overrides, process_environment());
  const auto watch = watches(false, source);
  if (const auto* problem = std::get_if<std::string>(&watch)) return refuse_watching("check", *problem, source);
  const auto result = source.load();
  if (const auto* problems = std::get_if<Problems>(&result)) {
    std::cerr << to_string(*problems);
    return usage_error;
  }
  std::cout << describe(std::get<Loaded>(result));
  return 0;
}

// A secret from standard input; not echoed on a terminal.
std::string read_secret() {
  const bool terminal = ::isatty(STDIN_FILENO) == 1;
  termios before{};
  if (terminal) {
    std::cerr << "key: " << std::flush;
    ::tcgetattr(STDIN_FILENO, &before);
    termios silent = before;
    silent.c_lflag &= ~static_cast<tcflag_t>(ECHO);
    ::tcsetattr(STDIN_FILENO, TCSANOW, &silent);
  }
  std::string secret;
  std::getline(std::cin, secret);
  if (terminal) {
    ::tcsetattr(STDIN_FILENO, TCSANOW, &before);
    std::cerr << '\n';
  }
  while (!secret.empty() && (secret.back() == '\r' || secret.back() == '\n')) secret.pop_back();
  return secret;
}

int run_hash_key(std::string secret) {
  if (secret.empty()) secret = read_secret();
  if (secret.empty()) {
    std::cerr << "weir hash-key: no key was given\n";
    return usage_error;
  }
  std::cout << hash_key(secret) << '\n';
  return 0;
}

int run_new_key(const std::string& given_name) {
  const std::string name = given_name.empty() ? "alice" : given_name;
  if (!is_name(name)) {
    std::cerr << "weir new-key: --name: expected " << name_form << '\n';
    return usage_error;
  }
  const std::string secret = make_key();
  std::cout << secret << "\n\n# The key above is shown once. Give it to its user; paste this into the configuration"
            << (given_name.empty() ? ", with the user's name for alice (or --name):\n" : ":\n")
            << "keys:\n  - {name: " << name << ", hash: \"" << hash_key(secret) << "\"}\n";
  return 0;
}

// A flag whose words simulator/options.hpp reads.
template <class T, class Parse>
void add_parsed(CLI::App& command, const std::string& flag, T& into, Parse parse, const std::string& help) {
  command.add_option_function<std::string>(
      flag,
      [&into, parse, flag](const std::string& text) {
        const auto value = parse(text);
        if (!value) throw CLI::ValidationError(flag, "'" + text + "' is not one of its values");
        into = *value;
      },
      help);
}

// A length of time: `above_zero`: 0 makes no sense.
void add_duration(CLI::App& command, const std::string& flag, simulator::Duration& into, bool above_zero,
                  const std::string& help) {
  command.add_option_function<std::string>(
      flag,
      [&into, flag, above_zero](const std::string& text) {
        const auto value = simulator::parse_duration(text);
        if (!value || (above_zero && *value <= simulator::Duration(0)))
          throw CLI::ValidationError(flag, "'" + text + "' is no length of time; write it as 200ms, 1.5s or 2m");
        into = *value;
      },
      help);
}

// std::from_chars takes no sign for these, CLI11 would wrap a negative number around.
const CLI::Validator not_negative(
    [](std::string& text) { return simulator::parse_count(text) ? "" : "'" + text + "' is no number of 0 or more"; },
    "UINT");

// CLI11's own ranges let "nan" through.
CLI::Validator finite(double least) {
  return CLI::Validator(
      [least](std::string& text) {
        char* end = nullptr;
        const double value = std::strtod(text.c_str(), &end);
        const bool good = end != text.c_str() && *end == '\0' && value >= least && value <= 1e9;
        return good ? std::string() : "'" + text + "' is no number in its range";
      },
      "FLOAT");
}

void add_simulate_flags(CLI::App& command, simulator::Options& options) {
  using namespace simulator;
  command.add_option("--listen", options.listen, "address, default 127.0.0.1:8090");
  command.add_option("--workers", options.workers, "threads, default 1")->check(CLI::Range(1U, workers_max));
  add_duration(command, "--ttft", options.ttft, false, "time to the first token, e.g. 200ms");
  command
      .add_option("--tokens-per-second", options.tokens_per_second,
                  "speed of a stream, default 60; 0: as fast as possible")
      ->check(finite(0));
  command.add_option("--output-tokens", options.output_tokens, "length of an answer that nothing caps, default 64")
      ->check(not_negative);
  add_duration(command, "--keepalive-every", options.keepalive_every, false,
               "blank lines or comments before the first token");
  command.add_option("--rpm", options.rpm, "requests per window, enforced")->check(not_negative);
  command.add_option("--tpm", options.tpm, "tokens per window, enforced")->check(not_negative);
  command.add_option("--concurrency", options.concurrency, "requests in flight, enforced")->check(not_negative);
  add_duration(command, "--window", options.window, true, "what a minute is, default 60s");
  add_parsed(command, "--limiter", options.limiter, parse_limiter, "bucket | fixed | sliding");
  command.add_option("--burst", options.burst, "size of the bucket as a part of the limit, default 1")
      ->check(finite(1e-6));
  add_parsed(command, "--charge", options.charge, parse_charge,
             "max-or-estimate | estimate-plus-max | input-then-output | actual | none");
  command.add_option("--default-cap", options.default_cap, "the cap of a request that names none, for the max rules")
      ->check(not_negative);
  command.add_flag("--count-refused", options.count_refused, "refused requests count too");
  add_parsed(command, "--dialect", options.dialect, parse_dialect, "refusals in the shape of openai | ark | deepseek");
  add_parsed(command, "--stream-usage", options.stream_usage, parse_stream_usage,
             "stream_options it takes: none | total (include_usage) | running (in every chunk too, the default)");
  add_parsed(command, "--fail-first", options.fail_first, parse_fail_first, "N:STATUS, e.g. 3:429");
  add_parsed(command, "--fail-rate", options.fail_rate, parse_fail_rate, "part of all requests, e.g. 0.1 or 0.1:503");
  command.add_option("--seed", options.seed, "of the fail rate and of ids, default 1");
}

// The first word is none of the commands: which it could have been.
std::string unknown_command(const CLI::App& app, int argc, char** argv) {
  if (argc < 2 || argv[1][0] == '-') return {};
  const std::string word = argv[1];
  std::vector<std::string> names;
  for (const CLI::App* command : app.get_subcommands({})) names.push_back(command->get_name());
  if (std::find(names.begin(), names.end(), word) != names.end()) return {};
  return "weir: there is no command '" + word + "'" + suggestion(word, names) + "; weir --help lists them\n";
}

// A word that a command does not expect: which flag it could have been, or that a file wants one before it.
std::string unexpected_word(const CLI::App& app) {
  if (app.get_subcommands().empty()) return {};
  const CLI::App& command = *app.get_subcommands().front();
  std::vector<std::string> flags;
  for (const CLI::Option* option : command.get_options())
    for (const std::string& name : option->get_lnames()) flags.push_back("--" + name);
  std::string text = "weir " + command.get_name() + ": ";
  const std::vector<std::string> words = app.remaining(true);
  const bool serves = command.get_name() == "serve";
  for (const std::string& word : words) {
    const std::string flag = word.substr(0, word.find('='));
    if (!flag.starts_with("--") && !(serves && flag == "-v")) continue;
    text += "there is no flag '" + flag + "'";
    if (serves && (flag == "-v" || flag == "--verbose"))
      return text += "; how much is logged is said by log.level, or WEIR_LOG_LEVEL=debug\n";
    text += suggestion(flag, flags);
    return text += "; weir " + command.get_name() + " --help lists them\n";
  }
  if (words.empty()) return {};
  const bool is_file = std::any_of(words.begin(), words.end(), [](const std::string& word) {
    return word.ends_with(".yaml") || word.ends_with(".yml");
  });
  text += "nothing is expected here: '" + words.front() + "'; ";
  if (is_file) return text += "a configuration file is named by --config\n";
  return text += "weir " + command.get_name() + " --help lists what is\n";
}

}  // namespace

int run_command_line(int argc, char** argv) {
  CLI::App app{"weir: an OpenAI-compatible proxy that shapes traffic to rate limits"};
  app.require_subcommand(1);
  app.set_version_flag("--version", "weir " WEIR_VERSION);
  app.set_help_all_flag("--help-all", "help of all subcommands");

  Overrides overrides;
  bool watch = false;
  CLI::App* serve_command = app.add_subcommand("serve", "run the proxy");
  add_serve_flags(*serve_command, overrides);
  serve_command->add_flag("--watch", watch, "reload when the configuration file changes (SIGHUP reloads always)");
  CLI::App* check_command =
      app.add_subcommand("check", "validate a configuration and print what it resolves to, secrets masked");
  add_serve_flags(*check_command, overrides);

  CountRequest counted;
  CLI::App* count_command =
      app.add_subcommand("count", "estimate the tokens of a text or a request body, its charge and its price");
  count_command->add_option("--model", counted.model, "the model it is meant for, default: the one in the body");
  count_command->add_option("--config", counted.config,
                            "configuration file (WEIR_CONFIG), default: what weir knows of the model's provider");
  count_command->add_option("file", counted.file, "what to count, default -: standard input");

  simulator::Options simulated;
  CLI::App* simulate_command = app.add_subcommand("simulate", "run the simulated provider");
  add_simulate_flags(*simulate_command, simulated);

  CLI::App* health_command = app.add_subcommand("health", "exit 0 when the running server is ready");
  health_command->add_option("--config", overrides.config, "configuration file, for operator.listen (WEIR_CONFIG)");
  health_command->add_option("--operator-listen", overrides.operator_listen,
                             "where to ask, default 127.0.0.1:8081 (WEIR_OPERATOR_LISTEN)");

  bool once = false;
  CLI::App* top_command = app.add_subcommand("top", "show who waits and for what, every second");
  top_command->add_option("--config", overrides.config, "configuration file, for operator.listen (WEIR_CONFIG)");
  top_command->add_option("--operator-listen", overrides.operator_listen,
                          "where to ask, default 127.0.0.1:8081 (WEIR_OPERATOR_LISTEN)");
  top_command->add_flag("--once", once, "show it once (as where standard output is no terminal)");

  std::string key_name;
  CLI::App* new_key_command = app.add_subcommand("new-key", "make a key: print it once, and the YAML to paste");
  new_key_command->add_option("--name", key_name, "whose key it is (alice, to be replaced)");
  std::string secret;
  CLI::App* hash_key_command = app.add_subcommand("hash-key", "print the hash of a key read from standard input");
  hash_key_command->add_option("key", secret, "the key itself (it stays in the shell's history: better pipe it in)");
  CLI::App* version_command = app.add_subcommand("version", "print the version");

  if (const std::string fault = unknown_command(app, argc, argv); !fault.empty()) {
    std::cerr << fault;
    return usage_error;
  }
  try {
    app.parse(argc, argv);
  } catch (const CLI::ExtrasError& error) {
    const std::string fault = unexpected_word(app);
    if (fault.empty()) app.exit(error);
    std::cerr << fault;
    return usage_error;
  } catch (const CLI::ParseError& error) {
    return app.exit(error) == 0 ? 0 : usage_error;
  }

  try {
    if (*serve_command) {
      ServeRequest request{ConfigSource(overrides, process_environment()), watch};
      const auto watched = watches(watch, request.source);
      if (const auto* problem = std::get_if<std::string>(&watched))
        return refuse_watching("serve", *problem, request.source);
      request.watch = std::get<bool>(watched);
      return serve(request);
    }
    if (*check_command) return run_check(overrides);
    if (*count_command) return run_count(counted);
    if (*simulate_command) return simulator::run(simulated);
    if (*health_command) return run_health(overrides);
    if (*top_command) return run_top(overrides, once);
    if (*new_key_command) return run_new_key(key_name);
    if (*hash_key_command) return run_hash_key(secret);
    if (*version_command) std::cout << "weir " WEIR_VERSION "\n";
  } catch (const std::exception& error) {
    std::cerr << "weir: " << error.what() << '\n';
    return 1;
  }
  return 0;
}

}  // namespace weir::app
