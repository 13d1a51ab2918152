#include "app/config_source.hpp"

#include <algorithm>
#include <set>

#include "app/machine.hpp"
#include "app/resolve_settings.hpp"
#include "app/shipped_providers.hpp"
#include "app/state_file.hpp"
#include "app/units.hpp"
#include "app/unread_variables.hpp"
#include "app/words.hpp"
#include "net/loopback.hpp"

namespace weir::app {
namespace {

// One setting that a flag or a variable gives; the flag wins.
struct Given {
  std::string text;
  Place place;
};

class OverrideReader {
 public:
  OverrideReader(const Overrides& overrides, const Environment& environment, Config& config, Problems& problems)
      : overrides_(overrides), environment_(environment), config_(config), problems_(problems) {}

  void apply() {
    read_listen(given(overrides_.listen, "--listen", "WEIR_LISTEN"), config_.listen, config_.listen_place);
    read_listen(given(overrides_.operator_listen, "--operator-listen", "WEIR_OPERATOR_LISTEN"),
                config_.operators.listen, config_.operators.place);
    if (const auto token = secret("WEIR_OPERATOR_TOKEN")) config_.operators.token = *token;
    if (const auto open = given({}, "", "WEIR_CLIENTS_OPEN")) read_open(*open);
    if (const auto workers = given(overrides_.workers, "--workers", "WEIR_WORKERS")) read_workers(*workers);
    if (const auto format = given({}, "", "WEIR_LOG_FORMAT"))
      read_word(*format, log_format_words(), config_.log.format);
    if (const auto level = given({}, "", "WEIR_LOG_LEVEL")) read_word(*level, log_level_words(), config_.log.level);
    add_upstreams();
    limit_upstream();
  }

 private:
  void problem(const Place& place, std::string message) { problems_.push_back({place, std::move(message)}); }

  std::optional<Given> given(const std::optional<std::string>& flag, const char* flag_name, const char* variable) {
    if (flag) return Given{*flag, {flag_name, 0, 0}};
    if (const auto value = environment_.variable(variable); value && !value->empty())
      return Given{*value, {variable, 0, 0}};
    return std::nullopt;
  }

  std::optional<std::string> secret(const char* variable) {
    std::string error;
    auto value = secret_variable(environment_, variable, error);
    if (!error.empty()) problem({variable, 0, 0}, error);
    return value;
  }

  void read_listen(const std::optional<Given>& value, std::vector<ListenAddress>& into, Place& place) {
    if (!value) return;
    std::vector<ListenAddress> addresses;
    for (std::string_view rest = value->text; !rest.empty();) {
      const auto comma = std::min(rest.find(','), rest.size());
      const auto parsed = parse_listen_address(rest.substr(0, comma));
      if (const auto* fault = std::get_if<std::string>(&parsed)) return problem(value->place, *fault);
      addresses.push_back(std::get<ListenAddress>(parsed));
      rest.remove_prefix(std::min(comma + 1, rest.size()));
    }
    if (addresses.empty()) return problem(value->place, "expected an address such as localhost:8080");
    into = std::move(addresses);
    place = value->place;
  }

  void read_open(const Given& value) {
    if (value.text != "anywhere" && value.text != "loopback")
      return problem(value.place, "expected anywhere or loopback, found '" + value.text + "'");
    config_.clients.open_anywhere = value.text == "anywhere";
    config_.clients.place = value.place;
  }

  void read_workers(const Given& value) {
    if (value.text == "auto") {
      config_.workers = std::nullopt;
      return;
    }
    const auto number = parse_count(value.text);
    if (!number || *number < 1 || *number > workers_max) {
      return problem(value.place, "expected a whole number from 1 to " + std::to_string(workers_max) +
                                      ", or auto; found '" + value.text + "'");
    }
    config_.workers = static_cast<unsigned>(*number);
  }

  template <class E, class T>
  void read_word(const Given& value, const WordTable<E>& table, T& into) {
    std::vector<std::string> words;
    for (const auto& [word, meaning] : table) {
      if (word == value.text) {
        into = meaning;
        return;
      }
      words.push_back(word);
    }
    problem(value.place, "'" + value.text + "' is not one of its values" + suggestion(value.text, words));
  }

  // In pass-through mode the variable that a provider's own SDK reads is there for the callers, not for weir.
  bool takes_usual_keys() const { return config_.clients.mode != proxy::ClientMode::pass_through; }

  // --upstream, or without any configured upstream the providers whose usual key variable is set.
  void add_upstreams() {
    if (const auto url = given(overrides_.upstream, "--upstream", "WEIR_UPSTREAM")) {
      if (!config_.upstreams.empty()) {
        return problem(url->place,
                       "the configuration file has upstreams already; name this one there, or leave it out");
      }
      add_from_url(*url);
      return;
    }
    if (!config_.upstreams.empty()) return give_key();
    for (const auto& provider : shipped_providers()) {
      if (!provider->used_when_key_is_set) continue;
      const auto key = secret(provider->api_key_env.c_str());
      if (!key) continue;
      UpstreamConfig upstream;
      upstream.name = provider->name;
      upstream.provider.text = provider->name;
      if (takes_usual_keys()) upstream.api_key = *key;
      upstream.place = {provider->api_key_env, 0, 0};
      config_.upstreams.push_back(std::move(upstream));
    }
  }

  // WEIR_UPSTREAM_API_KEY beside upstreams of the file: of the only one.
  void give_key() {
    const auto key = secret("WEIR_UPSTREAM_API_KEY");
    if (!key) return;
    if (config_.upstreams.size() == 1) {
      config_.upstreams.front().api_key = *key;
    } else {
      problem({"WEIR_UPSTREAM_API_KEY", 0, 0}, several_upstreams("write the key of each into the configuration file"));
    }
  }

  std::string several_upstreams(const std::string& advice) const {
    return "there are " + std::to_string(config_.upstreams.size()) + " upstreams; " + advice;
  }

  void add_from_url(const Given& url) {
    const auto parsed = parse_base_url(url.text);
    if (const auto* fault = std::get_if<std::string>(&parsed)) return problem(url.place, *fault);
    const auto provider = provider_of_host(std::get<BaseUrl>(parsed).host);
    UpstreamConfig upstream;
    upstream.name = provider ? provider->name : "default";
    upstream.base_url = url.text;
    upstream.place = url.place;
    if (const auto key = secret("WEIR_UPSTREAM_API_KEY")) {
      upstream.api_key = *key;
    } else if (provider && !provider->api_key_env.empty() && takes_usual_keys()) {
      if (const auto usual = secret(provider->api_key_env.c_str())) upstream.api_key = *usual;
    }
    config_.upstreams.push_back(std::move(upstream));
  }

  // --rpm, --tpm, --concurrency and --share speak of the one upstream there is.
  void limit_upstream() {
    const auto one = [&](const Given& value) -> UpstreamConfig* {
      if (config_.upstreams.size() == 1) return &config_.upstreams.front();
      if (!config_.upstreams.empty()) {
        problem(value.place, several_upstreams("set the limits of each in a configuration file"));
      }
      return nullptr;
    };
    const auto limit = [&](const std::optional<std::string>& flag, const char* name, const char* variable,
                           std::optional<std::uint64_t> LimitsConfig::* field) {
      const auto value = given(flag, name, variable);
      if (!value) return;
      // Also where there is no upstream for it, since the one that was given is wrong: all faults are told at once.
      const auto number = value->text == "unlimited" ? std::optional(unlimited) : parse_count(value->text);
      if (!number || *number == 0)
        return problem(value->place, "expected a whole number from 1, or unlimited; found '" + value->text + "'");
      if (UpstreamConfig* upstream = one(*value)) upstream->limits.limits.*field = *number;
    };
    limit(overrides_.rpm, "--rpm", "WEIR_RPM", &LimitsConfig::rpm);
    limit(overrides_.tpm, "--tpm", "WEIR_TPM", &LimitsConfig::tpm);
    limit(overrides_.concurrency, "--concurrency", "WEIR_CONCURRENCY", &LimitsConfig::concurrency);
    if (const auto share = given(overrides_.share, "--share", "WEIR_SHARE")) {
      const auto part = parse_fraction(share->text);
      if (!part || *part <= 0 || *part > 1)
        return problem(share->place, "expected a part such as 0.25, above 0 and up to 1; found '" + share->text + "'");
      // Of several accounts every one is shared in the same way: a sidecar knows how many of it there are, not of what.
      for (UpstreamConfig& upstream : config_.upstreams) {
        upstream.share = *part;
        upstream.share_place = share->place;
      }
    }
  }

  const Overrides& overrides_;
  const Environment& environment_;
  Config& config_;
  Problems& problems_;
};

Problems one_problem(Place place, std::string message) {
  Problems problems;
  problems.push_back({std::move(place), std::move(message)});
  return problems;
}

constexpr const char* nothing_configured =
    "no upstream is configured. Say where requests should go, in one of three ways:\n"
    "  weir serve --upstream https://api.deepseek.com --rpm 30000 --tpm 5000000\n"
    "  DEEPSEEK_API_KEY=sk-... weir serve          (also OPENAI_API_KEY, ARK_API_KEY;\n"
    "                                               for others: --upstream https://api.anthropic.com)\n"
    "  weir serve --config weir.yaml               (with `upstreams:` in it)\n"
    "To try weir without a provider, start `weir simulate` and use --upstream http://127.0.0.1:8090";

std::vector<std::string> warnings_of(const Config& config, const proxy::Settings& settings,
                                     const Environment& environment) {
  std::vector<std::string> warnings;
  // Whoever followed our own advice and exported OPENAI_BASE_URL has a key beside it that OpenAI does not know.
  const auto base_url = environment.variable("OPENAI_BASE_URL");
  for (const auto& upstream : config.upstreams) {
    if (!base_url || base_url->empty() || upstream.place.source != "OPENAI_API_KEY") continue;
    const auto url = parse_base_url(*base_url);
    const auto* parsed = std::get_if<BaseUrl>(&url);
    if (parsed && provider_of_host(parsed->host) == shipped_provider(upstream.name)) continue;
    warnings.emplace_back(
        "OPENAI_API_KEY is taken for a key of OpenAI, though OPENAI_BASE_URL names another server; unset it if it is "
        "for that one");
  }
  for (const auto& upstream : settings.upstreams) {
    if (!upstream.verify_tls)
      warnings.push_back("upstream " + upstream.name + ": verify_tls is off; anyone on the way can read its key");
    if (!upstream.tls && !upstream.api_key.empty() && !net::is_loopback_host(upstream.host)) {
      warnings.push_back("upstream " + upstream.name + ": its key travels over plain http");
    }
  }
  for (std::size_t i = 0; i < settings.upstreams.size(); ++i) {
    const bool reached =
        std::any_of(settings.routes.begin(), settings.routes.end(), [&](const proxy::ModelRoute& route) {
          return std::any_of(route.targets.begin(), route.targets.end(),
                             [&](const proxy::Target& target) { return target.upstream == i; });
        });
    if (!reached)
      warnings.push_back("upstream " + settings.upstreams[i].name +
                         ": no model leads to it; name those it serves in `models`");
  }
  if (config.clients.open_anywhere && settings.clients.mode == proxy::ClientMode::open && !is_loopback(config.listen)) {
    warnings.emplace_back("clients.open is anywhere: whoever can connect spends the provider key");
  }
  // Not refused here: the folder may be made by whoever starts the server, such as systemd.
  if (const std::string fault = state_file_fault(config.state_file); !fault.empty())
    warnings.push_back("state_file: " + fault + ", so that weir serve would not start");
  return warnings;
}

}  // namespace

ConfigSource::ConfigSource(Overrides overrides, Environment environment)
    : overrides_(std::move(overrides)), environment_(std::move(environment)) {
  if (overrides_.config) {
    path_ = *overrides_.config;
  } else if (const auto variable = environment_.variable("WEIR_CONFIG")) {
    path_ = *variable;
  }
}

std::variant<Loaded, Problems> ConfigSource::load() const {
  std::set<std::string> asked;
  Environment noting = environment_;
  noting.variable = [this, &asked](const std::string& name) {
    asked.insert(name);
    return environment_.variable(name);
  };
  auto result = load(noting);
  const Problems unread = unread_variables(environment_.names, asked);
  if (auto* problems = std::get_if<Problems>(&result)) {
    problems->insert(problems->end(), unread.begin(), unread.end());
  } else {
    for (const Problem& each : unread)
      std::get<Loaded>(result).warnings.push_back(to_string(each.place) + ": " + each.message);
  }
  return result;
}

std::variant<Loaded, Problems> ConfigSource::load(const Environment& environment) const {
  Problems problems;
  Loaded loaded;
  if (!path_.empty()) {
    const auto text = environment.read_file(path_);
    const char* const named_by = overrides_.config ? "" : " (WEIR_CONFIG names it)";
    if (!text)
      return one_problem({path_, 0, 0}, "cannot be read; check the path and the permissions" + std::string(named_by));
    loaded.config = read_config(*text, path_, environment, problems);
  }
  OverrideReader(overrides_, environment, loaded.config, problems).apply();
  if (loaded.config.upstreams.empty() && problems.empty()) return one_problem({"weir", 0, 0}, nothing_configured);
  const auto slash = path_.rfind('/');
  const std::string folder = slash == std::string::npos ? std::string() : path_.substr(0, slash);
  if (!loaded.config.queue.bytes_max) loaded.config.queue.bytes_max = default_queue_bytes();
  if (!loaded.config.limits.bodies_bytes_max) loaded.config.limits.bodies_bytes_max = default_bodies_bytes();
  if (!loaded.config.retry.kept_bodies_max) loaded.config.retry.kept_bodies_max = default_kept_bytes();
  Resolved resolved = resolve_settings(loaded.config, folder, environment, problems);
  if (!problems.empty()) return problems;
  if (!loaded.config.workers) loaded.config.workers = default_workers();
  loaded.settings = std::move(resolved.settings);
  loaded.mode_reason = std::move(resolved.mode.reason);
  loaded.warnings = warnings_of(loaded.config, *loaded.settings, environment);
  return loaded;
}

}  // namespace weir::app
