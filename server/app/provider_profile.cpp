#include "app/provider_profile.hpp"

#include <algorithm>
#include <regex>
#include <set>

#include "app/section.hpp"
#include "app/words.hpp"
#include "app/yaml_tree.hpp"
#include "protocol/api.hpp"
#include "protocol/request_view.hpp"

namespace weir::app {
namespace {

using protocol::Api;

constexpr std::size_t family_count = 7;
constexpr std::uint64_t tokens_max = 1'000'000'000;

const WordTable<Cause>& cause_words() {
  static const WordTable<Cause> table{{"minute-budget", Cause::minute_budget},
                                      {"ramp", Cause::ramp},
                                      {"concurrency", Cause::concurrency},
                                      {"overload", Cause::overload},
                                      {"quota", Cause::quota},
                                      {"caller", Cause::caller},
                                      {"fault", Cause::fault}};
  return table;
}

WordTable<std::string> words(std::initializer_list<const char*> list) {
  WordTable<std::string> table;
  for (const char* word : list) table.emplace_back(word, word);
  return table;
}

std::string without_slash(std::string prefix) {
  while (prefix.ends_with('/')) prefix.pop_back();
  return prefix;
}

void read_families(Section& section, std::array<proxy::FamilyPath, family_count>& families) {
  for (std::size_t i = 0; i < family_count; ++i) {
    const std::string name(protocol::name_of(static_cast<Api>(i)));
    const auto value = section.scalar(name, "a path prefix, or false");
    if (!value) continue;
    if (value->text == "false") {
      families[i] = {};
    } else if (value->text.empty() || value->text.front() == '/') {
      families[i] = {true, without_slash(value->text)};
    } else {
      section.problem(name, "expected a path that starts with '/', \"\" for none, or false");
    }
  }
}

void read_charge(Section& section, Charge& charge) {
  section.choice("rule", charge.rule, charge_rule_words());
  section.choice("cached_input", charge.cached_input_free,
                 std::vector<std::pair<std::string, bool>>{{"free", true}, {"charged", false}});
}

void read_output_caps(Section& parent, std::vector<OutputCap>& caps) {
  parent.section("output_cap", [&](Section& section) {
    section.each_word("*", [&](const std::string& parameter) {
      OutputCap cap;
      cap.parameter = parameter;
      section.choice(parameter, cap.includes_thinking,
                     std::vector<std::pair<std::string, bool>>{{"answer", false}, {"answer-and-thinking", true}});
      caps.push_back(std::move(cap));
    });
  });
}

void read_date(Section& section, const char* key, std::string& date) {
  static const std::regex form(R"(\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}Z)?)");
  section.text(key, date);
  if (!date.empty() && !std::regex_match(date, form))
    section.problem(key, "expected a date such as 2026-08-16 or 2026-08-16T16:00Z");
}

void read_prices(Section& parent, std::string_view key, std::vector<proxy::Price>& prices) {
  prices.clear();
  parent.list(key, [&](Section& section) {
    proxy::Price price;
    read_date(section, "since", price.since);
    read_date(section, "until", price.until);
    section.require("currency");
    section.choice("currency", price.currency, words({"USD", "CNY", "EUR"}));
    section.require("input");
    section.require("output");
    section.fraction("input", price.input, 0, 1'000'000);
    price.cached_input = price.input;  // without a price of its own, cached input costs the same
    section.fraction("cached_input", price.cached_input, 0, 1'000'000);
    section.fraction("output", price.output, 0, 1'000'000);
    prices.push_back(std::move(price));
  });
}

void read_tokens(Section& section, std::string_view key, std::optional<std::uint64_t>& into) {
  section.count(key, into, 1, tokens_max);
}

// `like: other` starts from the entry of another model of the file, so that a version states only what differs.
void start_like(Section& section, const std::vector<ProviderModel>& models, ProviderModel& model) {
  std::optional<Name> like;
  section.name("like", like);
  if (!like) return;
  std::vector<std::string> names;
  for (const auto& other : models) {
    if (other.profile.name == like->text) {
      const std::string own = model.profile.name;
      model = other;
      model.profile.name = own;
      return;
    }
    names.push_back(other.profile.name);
  }
  section.problem("like", "no model " + shown(*like) + " above" + suggestion(like->text, names));
}

void merge_parameters(Section& section, std::vector<proxy::ParameterRule>& rules) {
  std::vector<proxy::ParameterRule> own;
  read_parameters(section, own);
  for (auto& rule : own) {
    const auto same =
        std::find_if(rules.begin(), rules.end(), [&](const auto& other) { return other.name == rule.name; });
    if (same == rules.end())
      rules.push_back(std::move(rule));
    else
      *same = std::move(rule);
  }
}

void read_model(Section& section, std::vector<ProviderModel>& models) {
  ProviderModel model;
  section.require("name");
  section.text("name", model.profile.name);
  start_like(section, models, model);
  proxy::ModelProfile& profile = model.profile;
  merge_parameters(section, profile.parameters);
  section.flag("text_only", profile.text_only);
  section.section("limits", [&](Section& limits) { read_limits(limits, model.limits); });
  read_tokens(section, "context_tokens", profile.context_tokens);
  read_tokens(section, "input_tokens_max", profile.input_tokens_max);
  read_tokens(section, "output_tokens_max", profile.output_tokens_max);
  read_tokens(section, "output_tokens_default", profile.output_tokens_default);
  read_tokens(section, "thinking_tokens_max", profile.thinking_tokens_max);
  Charge charge;
  const bool charges = section.has("charge");
  section.section("charge", [&](Section& inner) { read_charge(inner, charge); });
  if (charges) profile.charge = charge;
  if (section.has("output_cap")) profile.output_caps.clear();
  read_output_caps(section, profile.output_caps);
  std::vector<proxy::Price> prices;
  const bool priced = section.has("prices");
  read_prices(section, "prices", prices);
  if (priced) profile.prices = std::move(prices);
  std::vector<proxy::Price> batch_prices;
  const bool batch_priced = section.has("batch_prices");
  read_prices(section, "batch_prices", batch_prices);
  if (batch_priced) profile.batch_prices = std::move(batch_prices);
  section.flag("listed", model.listed);
  models.push_back(std::move(model));
}

void read_error(Section& section, std::vector<ErrorRule>& errors) {
  ErrorRule rule;
  section.count("status", rule.status, 100, 599);
  section.text("code", rule.code);
  section.text("type", rule.type);
  section.text("words", rule.words);
  section.text("source", rule.source);
  section.require("cause");
  section.choice("cause", rule.cause, cause_words());
  section.choice("meter", rule.meter, words({"rpm", "rpd", "tpm", "tpd", "input_tpm", "output_tpm", "concurrency"}));
  section.choice("scope", rule.scope, words({"account", "model"}));
  if (!rule.status && rule.code.empty() && rule.type.empty() && rule.words.empty() && rule.source.empty()) {
    section.problem("", "the rule matches everything: say a status, code, type, words or source");
  }
  errors.push_back(std::move(rule));
}

void read_timeouts(Section& section, UpstreamTimeoutsConfig& timeouts) {
  constexpr DurationRange range{.min = 1ms, .max = unlimited_duration, .may_be_unlimited = true};
  section.duration("connect", timeouts.connect, range);
  section.duration("tls", timeouts.tls, range);
  section.duration("first_byte", timeouts.first_byte, range);
  section.duration("first_content", timeouts.first_content, range);
  section.duration("content_gap", timeouts.content_gap, range);
  section.duration("byte_gap", timeouts.byte_gap, range);
  section.duration("total", timeouts.total, range);
}

void read_batch(Section& parent, std::optional<BatchConfig>& batch) {
  const bool said = parent.has("batch");
  BatchConfig read;
  parent.section("batch", [&](Section& section) {
    section.require("path");
    section.text("path", read.path);
    if (said && (!read.path.starts_with('/') || read.path.ends_with('/')))
      section.problem("path", "expected a path that starts with '/' and does not end with one");
    section.section("limits", [&](Section& limits) { read_limits(limits, read.limits); });
    section.section("timeouts", [&](Section& timeouts) { read_timeouts(timeouts, read.timeouts); });
  });
  if (said) batch = std::move(read);
}

// "mon-fri", or one day.
std::optional<std::array<bool, 7>> days_of(const std::string& text) {
  constexpr std::array<std::string_view, 7> names{"sun", "mon", "tue", "wed", "thu", "fri", "sat"};
  const auto number = [&](std::string_view name) {
    return std::find(names.begin(), names.end(), name) - names.begin();
  };
  const std::size_t dash = text.find('-');
  const auto first = number(text.substr(0, dash));
  const auto last = dash == std::string::npos ? first : number(text.substr(dash + 1));
  if (first == 7 || last == 7) return std::nullopt;
  std::array<bool, 7> days{};
  for (auto day = first;; day = (day + 1) % 7) {
    days[static_cast<std::size_t>(day)] = true;
    if (day == last) return days;
  }
}

// "01:00-04:00" within a day, as minutes of it.
std::optional<std::pair<int, int>> hours_of(const std::string& text) {
  static const std::regex form(R"((\d{2}):(\d{2})-(\d{2}):(\d{2}))");
  std::smatch parts;
  if (!std::regex_match(text, parts, form)) return std::nullopt;
  const auto minutes = [&](std::size_t at) { return std::stoi(parts[at]) * 60 + std::stoi(parts[at + 1]); };
  if (minutes(1) >= minutes(3) || minutes(3) > 24 * 60) return std::nullopt;
  return std::pair(minutes(1), minutes(3));
}

void read_peak(Section& parent, std::optional<proxy::PeakHours>& peak) {
  const bool said = parent.has("peak");
  proxy::PeakHours read;
  parent.section("peak", [&](Section& section) {
    std::string days = "sun-sat";
    std::vector<std::string> hours;
    read_date(section, "since", read.since);
    section.fraction("factor", read.factor, 0, 100);
    section.text("days", days);
    section.texts("hours", hours);
    const auto known = days_of(days);
    if (!known) section.problem("days", "expected days such as mon-fri, or one: sat");
    read.days = known.value_or(std::array<bool, 7>{});
    for (const std::string& each : hours) {
      const auto span = hours_of(each);
      if (!span) section.problem("hours", "expected hours of a day such as 01:00-04:00, in UTC");
      if (span) read.hours.push_back(*span);
    }
  });
  if (said) peak = std::move(read);
}

void read_file(Section& file, ProviderProfile& provider) {
  file.require("name");
  file.text("name", provider.name);
  file.text("title", provider.title);
  file.text("base_url", provider.base_url);
  if (!provider.base_url.empty()) {
    const auto parsed = parse_base_url(provider.base_url);
    if (const auto* fault = std::get_if<std::string>(&parsed))
      file.problem("base_url", *fault);
    else if (!std::get<BaseUrl>(parsed).path.empty())
      file.problem("base_url", "paths stand in `families`");
  }
  file.texts("hosts", provider.hosts);
  file.text("api_key_env", provider.api_key_env);
  file.flag("used_when_key_is_set", provider.used_when_key_is_set);
  file.choice("auth", provider.auth, auth_words());
  file.pairs("headers", provider.headers);
  for (const auto& [name, value] : provider.headers) {
    if (const std::string fault = header_fault(name, value); !fault.empty()) file.problem("headers", fault);
  }
  file.text("query", provider.query);
  file.require("families");
  file.section("families", [&](Section& section) { read_families(section, provider.families); });
  file.texts("native_prefixes", provider.native_prefixes);
  for (auto& prefix : provider.native_prefixes) {
    prefix = without_slash(prefix);
    if (!prefix.starts_with('/')) file.problem("native_prefixes", "expected paths that start with '/'");
  }
  file.flag("asks_usage", provider.asks_usage);
  WordTable<std::string> running_usage;
  for (const std::string_view option : protocol::running_usage_options) running_usage.emplace_back(option, option);
  file.choice("running_usage", provider.running_usage, running_usage);
  file.flag("queue_headers", provider.queue_headers);
  file.flag("model_in_path", provider.model_in_path);
  file.section("timeouts", [&](Section& section) { read_timeouts(section, provider.timeouts); });
  file.section("limits", [&](Section& section) { read_limits(section, provider.limits); });
  file.entries("tiers", [&](const std::string& name, Section& section) { read_limits(section, provider.tiers[name]); });
  file.section("charge", [&](Section& section) { read_charge(section, provider.charge); });
  read_output_caps(file, provider.output_caps);
  read_batch(file, provider.batch);
  file.section("keep_alive", [&](Section& section) {
    section.choice("stream", provider.keep_alive_stream, words({"comment", "ping", "none"}));
    section.choice("json", provider.keep_alive_json, words({"blank-lines", "none"}));
  });
  file.choice("rate_limit_headers", provider.limit_headers,
              std::vector<std::pair<std::string, proxy::LimitHeaders>>{{"openai", proxy::LimitHeaders::all},
                                                                       {"anthropic", proxy::LimitHeaders::all},
                                                                       {"azure", proxy::LimitHeaders::tokens},
                                                                       {"none", proxy::LimitHeaders::none}});
  file.list("errors", [&](Section& section) { read_error(section, provider.errors); });
  file.list("models", [&](Section& section) { read_model(section, provider.models); });
  read_peak(file, provider.peak);
}

}  // namespace

const ProviderModel* ProviderProfile::find_model(std::string_view id) const {
  for (const auto& model : models) {
    if (model.profile.name == id) return &model;
  }
  for (const auto& model : models) {
    if (proxy::matches_pattern(model.profile.name, id)) return &model;
  }
  return nullptr;
}

ProviderProfile read_provider(std::string_view text, const std::string& file, const Environment& environment,
                              Problems& problems) {
  ProviderProfile provider;
  const std::size_t before = problems.size();
  const YamlNode tree = parse_yaml(text, file, problems);
  if (tree.kind == YamlNode::Kind::null) {
    const Place whole_file{file, 0, 0};
    if (problems.size() == before) problems.push_back({whole_file, "the provider file is empty"});
    return provider;
  }
  ReadContext context{environment, problems, nullptr};
  Section section(context, &tree, "", "");
  read_file(section, provider);
  section.finish();
  return provider;
}

std::array<proxy::FamilyPath, family_count> families_below(const ProviderProfile& provider,
                                                           const std::string& base_path) {
  auto families = provider.families;
  if (base_path.empty()) return families;
  const auto family = [&](Api api) -> const proxy::FamilyPath& {
    return provider.families[static_cast<std::size_t>(api)];
  };
  const proxy::FamilyPath& messages = family(Api::messages);
  const std::string main = family(Api::chat).served ? family(Api::chat).prefix : messages.prefix;
  // A value for ANTHROPIC_BASE_URL names the place of the messages family: everything else is where it always is.
  if (messages.served && messages.prefix != main &&
      (base_path == messages.prefix || base_path + "/v1" == messages.prefix)) {
    return families;
  }
  std::string root = base_path;
  const auto& native = provider.native_prefixes;
  if (base_path == main || base_path == "/v1" || std::find(native.begin(), native.end(), base_path) != native.end())
    root.clear();
  else if (!main.empty() && base_path.ends_with(main))
    root.resize(base_path.size() - main.size());
  else if (main.empty() && base_path.ends_with("/v1"))
    root.resize(base_path.size() - 3);
  for (auto& path : families) {
    if (path.served) path.prefix = path.prefix == main ? base_path : root + path.prefix;
  }
  return families;
}

std::vector<std::string> known_provider_keys() {
  return keys_read_by([](Section& file) {
    ProviderProfile provider;
    read_file(file, provider);
  });
}

}  // namespace weir::app
