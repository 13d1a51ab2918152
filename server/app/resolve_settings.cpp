#include "app/resolve_settings.hpp"

#include <algorithm>
#include <cctype>
#include <map>
#include <memory>

#include "app/resolved_values.hpp"
#include "app/shipped_providers.hpp"
#include "app/start_obstacles.hpp"
#include "app/units.hpp"

namespace weir::app {
namespace {

using proxy::ModelProfile;
using ProviderPtr = std::shared_ptr<const ProviderProfile>;

bool is_pattern(std::string_view name) {
  return name.find('*') != std::string_view::npos;
}

bool same_header(std::string_view a, std::string_view b) {
  const auto lower = [](unsigned char c) { return std::tolower(c); };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [&](char x, char y) {
    return lower(static_cast<unsigned char>(x)) == lower(static_cast<unsigned char>(y));
  });
}

class Resolver {
 public:
  Resolver(const Config& config, const std::string& folder, const Environment& environment, Problems& problems)
      : config_(config), folder_(folder), environment_(environment), problems_(problems) {}

  Resolved run() {
    for (const UpstreamConfig& upstream : config_.upstreams) settings_->upstreams.push_back(resolve_upstream(upstream));
    resolve_routes();
    resolve_keys();
    copy_values();
    Resolved resolved;
    resolved.mode = resolve_mode();
    settings_->clients.mode = resolved.mode.mode;
    resolved.settings = settings_;
    return resolved;
  }

 private:
  void problem(const Place& place, std::string message) { problems_.push_back({place, std::move(message)}); }

  ProviderPtr provider_of(const UpstreamConfig& upstream) {
    const std::string& name = upstream.provider.text;
    if (name.empty()) {
      const auto url = parse_base_url(upstream.base_url);
      const auto* parsed = std::get_if<BaseUrl>(&url);
      ProviderPtr known = parsed ? provider_of_host(parsed->host) : nullptr;
      return known ? known : shipped_provider("generic");
    }
    if (name.ends_with(".yaml") || name.ends_with(".yml")) {
      const std::string path = name.front() == '/' || folder_.empty() ? name : folder_ + "/" + name;
      const auto text = environment_.read_file(path);
      if (!text) {
        problem(upstream.provider.place, "the provider file " +
                                             (upstream.provider.interpolated ? "named there" : "'" + path + "'") +
                                             " cannot be read");
        return shipped_provider("generic");
      }
      return std::make_shared<const ProviderProfile>(read_provider(*text, path, environment_, problems_));
    }
    if (ProviderPtr shipped = shipped_provider(name)) return shipped;
    std::vector<std::string> names;
    for (const auto& shipped : shipped_providers()) names.push_back(shipped->name);
    problem(upstream.provider.place, "no provider is called " + shown(upstream.provider) + suggestion(name, names));
    return shipped_provider("generic");
  }

  // A tier of this deployment, of the provider, or of any shipped provider (5M-30K holds for keys and teams too).
  LimitsConfig limits_of(const LimitedBy& by, const ProviderProfile* provider) {
    if (!by.tier) return by.limits;
    const auto look = [&](const std::map<std::string, LimitsConfig>& tiers) -> const LimitsConfig* {
      const auto found = tiers.find(by.tier->text);
      return found == tiers.end() ? nullptr : &found->second;
    };
    const LimitsConfig* tier = look(config_.tiers);
    if (!tier && provider) tier = look(provider->tiers);
    if (tier) return overlay(*tier, by.limits);
    std::vector<std::string> names;
    names.reserve(config_.tiers.size());
    for (const auto& [name, limits] : config_.tiers) names.push_back(name);
    for (const auto& shipped : shipped_providers()) {
      if (!tier) tier = look(shipped->tiers);
      for (const auto& [name, limits] : shipped->tiers) names.push_back(name);
    }
    if (tier) return overlay(*tier, by.limits);
    problem(by.tier->place, "no tier is called " + shown(*by.tier) + suggestion(by.tier->text, names));
    return by.limits;
  }

  proxy::Upstream resolve_upstream(const UpstreamConfig& from) {
    const std::size_t problems_before = problems_.size();
    const ProviderPtr provider = provider_of(from);
    providers_.push_back(provider);
    proxy::Upstream upstream;
    upstream.name = from.name;
    upstream.provider = provider->name;
    const std::string url_text = from.base_url.empty() ? provider->base_url : from.base_url;
    if (url_text.empty() && problems_.size() > problems_before)
      return upstream;  // the stand-in for a wrong name has none
    if (url_text.empty()) {
      problem(from.place, "base_url is needed, since the provider '" + provider->name + "' has none of its own");
      return upstream;
    }
    const auto url = parse_base_url(url_text);
    if (std::holds_alternative<std::string>(url)) return upstream;  // a problem since it was read
    const auto& base = std::get<BaseUrl>(url);
    upstream.tls = base.tls;
    upstream.host = base.host;
    upstream.port = base.port;
    upstream.authority = base.authority;
    upstream.families = families_below(*provider, base.path);
    upstream.query = from.query.empty() ? provider->query : from.query;
    upstream.auth = from.auth.value_or(provider->auth);
    upstream.api_key = from.api_key;
    upstream.headers = from.headers;
    for (const auto& [name, value] : provider->headers) {
      const bool given = std::any_of(from.headers.begin(), from.headers.end(),
                                     [&](const auto& header) { return same_header(header.first, name); });
      if (!given) upstream.headers.emplace_back(name, value);
    }
    upstream.asks_usage = provider->asks_usage;
    upstream.running_usage = provider->running_usage;
    upstream.limit_headers = provider->limit_headers;
    upstream.peak = provider->peak;
    upstream.queue_headers = provider->queue_headers;
    upstream.native_prefixes = provider->native_prefixes;
    LimitsConfig limits = overlay(provider->limits, limits_of(from.limits, provider.get()));
    upstream.limits = to_limits(limits);
    upstream.share = from.share;
    upstream.reserves_cap = from.reserves_cap;
    upstream.error_rules = provider->errors;
    const auto& common = shipped_provider("generic")->errors;
    upstream.error_rules.insert(upstream.error_rules.end(), common.begin(), common.end());
    upstream.charge = charge_of(*provider, upstream.limits);
    upstream.output_caps = provider->output_caps;
    upstream.timeouts = to_timeouts({&from.timeouts, &config_.timeouts.upstream, &provider->timeouts});
    upstream.batch = batch_of(from, *provider);
    upstream.ca_file = from.ca_file;
    upstream.verify_tls = from.verify_tls;
    upstream.models = models_of(from, *provider);
    for (ModelProfile& model : upstream.models) take_shape(model.limits, upstream.limits);
    if (upstream.batch) take_shape(upstream.batch->limits, upstream.limits);
    check_share(from, upstream.limits, "");
    for (const ModelProfile& model : upstream.models) check_share(from, model.limits, " of model " + model.name);
    return upstream;
  }

  // What is said of these calls in particular goes before what is said of all.
  std::optional<proxy::BatchService> batch_of(const UpstreamConfig& from, const ProviderProfile& provider) {
    if (!provider.batch) {
      if (from.batch) problem(from.place, "batch: the provider '" + provider.name + "' counts no calls apart");
      return std::nullopt;
    }
    const BatchConfig own = from.batch.value_or(BatchConfig{});
    proxy::BatchService batch;
    batch.path = provider.batch->path;
    batch.limits = to_limits(overlay(provider.batch->limits, own.limits));
    batch.timeouts = to_timeouts(
        {&own.timeouts, &provider.batch->timeouts, &from.timeouts, &config_.timeouts.upstream, &provider.timeouts});
    check_share(from, batch.limits, " of " + batch.path);
    return batch;
  }

  // Token limits of an account whose provider counts no tokens are the operator's own wish, or will be learned: they
  // count what is used.
  static Charge charge_of(const ProviderProfile& provider, const proxy::Limits& limits) {
    Charge charge = provider.charge;
    const bool counts_tokens = limits.tpm || limits.tpd || limits.input_tpm || limits.output_tpm ||
                               provider.limit_headers != proxy::LimitHeaders::none;
    if (charge.rule == ChargeRule::none && counts_tokens) charge.rule = ChargeRule::input_then_output;
    return charge;
  }

  // A part of a limit that comes to less than one would never let anything through.
  void check_share(const UpstreamConfig& from, const proxy::Limits& limits, const std::string& whose) {
    const std::pair<const char*, const std::optional<std::uint64_t>*> words[] = {{"rpm", &limits.rpm},
                                                                                 {"rpd", &limits.rpd},
                                                                                 {"tpm", &limits.tpm},
                                                                                 {"tpd", &limits.tpd},
                                                                                 {"input_tpm", &limits.input_tpm},
                                                                                 {"output_tpm", &limits.output_tpm},
                                                                                 {"concurrency", &limits.concurrency}};
    for (const auto& [word, limit] : words) {
      if (!*limit || static_cast<double>(**limit) * from.share >= 1) continue;
      problem(from.share_place.source.empty() ? from.place : from.share_place,
              "the share " + format_fraction(from.share) + " of " + word + ": " + std::to_string(**limit) + whose +
                  " is less than one, so nothing could be sent");
    }
  }

  // The profile of one model id at an account: the provider's entry it is like, under the id that is sent.
  static ModelProfile profile_for(const std::string& id, const ProviderModel* known) {
    ModelProfile profile;
    if (known) {
      profile = known->profile;
      profile.limits = to_limits(known->limits);
    }
    profile.name = id;
    return profile;
  }

  void unknown_base_model(const Name& name, const ProviderProfile& provider) {
    std::vector<std::string> names;
    names.reserve(provider.models.size());
    for (const ProviderModel& known : provider.models) names.push_back(known.profile.name);
    problem(name.place, "base_model: the provider '" + provider.name + "' knows no model " + shown(name) +
                            suggestion(name.text, names));
  }

  std::vector<ModelProfile> models_of(const UpstreamConfig& from, const ProviderProfile& provider) {
    std::vector<ModelProfile> exact, patterns;
    for (const AccountModelConfig& own : from.models) {
      const ProviderModel* known = provider.find_model(own.base_model ? own.base_model->text : own.id);
      if (own.base_model && !known) unknown_base_model(*own.base_model, provider);
      ModelProfile profile = profile_for(own.id, known);
      if (own.base_model) profile.base_model = own.base_model->text;
      profile.limits = to_limits(overlay(known ? known->limits : LimitsConfig{}, limits_of(own.limits, &provider)));
      for (const proxy::ParameterRule& rule : own.parameters) {
        std::erase_if(profile.parameters, [&](const proxy::ParameterRule& other) { return other.name == rule.name; });
        profile.parameters.push_back(rule);
      }
      (is_pattern(own.id) ? patterns : exact).push_back(std::move(profile));
    }
    sort_patterns(patterns, &ModelProfile::name);
    for (const ModelConfig& model : config_.models) {
      if (!model.base_model) continue;
      for (const RouteTargetConfig& target : model.upstreams) {
        const std::string& sent = !target.model.empty()          ? target.model
                                  : model.upstream_model.empty() ? model.name
                                                                 : model.upstream_model;
        if (target.upstream.text != from.name) continue;
        const ProviderModel* known = provider.find_model(model.base_model->text);
        if (!known) unknown_base_model(*model.base_model, provider);
        ModelProfile profile = profile_for(sent, known);
        profile.base_model = model.base_model->text;
        (is_pattern(sent) ? patterns : exact).push_back(std::move(profile));
      }
    }
    for (const ProviderModel& known : provider.models) {
      ModelProfile profile = known.profile;
      profile.limits = to_limits(known.limits);
      (is_pattern(profile.name) ? patterns : exact).push_back(std::move(profile));
    }
    exact.insert(exact.end(), std::make_move_iterator(patterns.begin()), std::make_move_iterator(patterns.end()));
    return exact;
  }

  // The more a pattern says, the earlier it is tried: deepseek-r1-* of one provider before deepseek-* of another.
  template <class T>
  static void sort_patterns(std::vector<T>& items, std::string T::* pattern) {
    std::stable_sort(items.begin(), items.end(),
                     [&](const T& a, const T& b) { return (a.*pattern).size() > (b.*pattern).size(); });
  }

  std::optional<std::size_t> upstream_index(const Name& name) {
    std::vector<std::string> names;
    for (std::size_t i = 0; i < config_.upstreams.size(); ++i) {
      if (config_.upstreams[i].name == name.text) return i;
      names.push_back(config_.upstreams[i].name);
    }
    problem(name.place, "no upstream is called " + shown(name) + suggestion(name.text, names));
    return std::nullopt;
  }

  void resolve_routes() {
    std::vector<proxy::ModelRoute> exact, patterns;
    const auto add = [&](proxy::ModelRoute route) {
      auto& routes = is_pattern(route.pattern) ? patterns : exact;
      const auto same =
          std::find_if(routes.begin(), routes.end(), [&](const auto& other) { return other.pattern == route.pattern; });
      if (same == routes.end()) return routes.push_back(std::move(route));
      // Derived routes: a second account that serves the same model is one more target. Of other providers the first
      // wins.
      for (proxy::Target& target : route.targets) {
        const bool there = std::any_of(same->targets.begin(), same->targets.end(),
                                       [&](const auto& other) { return other.upstream == target.upstream; });
        const bool alike = same->targets.empty() || serve_the_same(same->targets.front().upstream, target.upstream);
        if (!there && alike) same->targets.push_back(std::move(target));
      }
      same->listed |= route.listed;
    };
    for (const ModelConfig& model : config_.models) {
      proxy::ModelRoute route;
      route.pattern = model.name;
      route.listed = model.listed;
      for (const RouteTargetConfig& target : model.upstreams) {
        const auto index = upstream_index(target.upstream);
        if (!index) continue;
        const std::string& sent = target.model.empty() ? model.upstream_model : target.model;
        route.targets.push_back({*index, sent, target.weight, target.order});
      }
      add(std::move(route));
    }
    if (config_.models.empty()) {
      // One upstream serves whatever is asked for; several serve what their providers are known for, the first that
      // fits.
      const bool alone = settings_->upstreams.size() == 1;
      for (std::size_t i = 0; i < settings_->upstreams.size(); ++i) {
        for (const ProviderModel& known : providers_[i]->models) {
          if (alone && is_pattern(known.profile.name)) continue;
          add(route_to(known.profile.name, i, known.listed));
        }
        for (const AccountModelConfig& own : config_.upstreams[i].models) add(route_to(own.id, i, true));
        if (alone) add(route_to("*", i, false));
      }
      settings_->models_from_upstream = alone;
    }
    sort_patterns(patterns, &proxy::ModelRoute::pattern);
    settings_->routes = std::move(exact);
    settings_->routes.insert(settings_->routes.end(), std::make_move_iterator(patterns.begin()),
                             std::make_move_iterator(patterns.end()));
  }

  // Whether an id means the same model at both: accounts of one hosted provider. Two servers of one's own that speak
  // the same protocol have nothing in common, nor have two Azure resources.
  bool serve_the_same(std::size_t a, std::size_t b) const {
    return providers_[a]->name == providers_[b]->name && !providers_[a]->base_url.empty();
  }

  static proxy::ModelRoute route_to(const std::string& pattern, std::size_t upstream, bool listed) {
    proxy::ModelRoute route;
    route.pattern = pattern;
    route.targets.push_back({upstream, "", 1, 1});
    route.listed = listed;
    return route;
  }

  void resolve_keys() {
    std::vector<std::string> teams;
    for (const TeamConfig& team : config_.teams) {
      teams.push_back(team.name);
      settings_->clients.teams.push_back({team.name, to_limits(limits_of(team.limits, nullptr)), team.weight});
    }
    for (const KeyConfig& from : config_.keys) {
      proxy::ClientKey key;
      key.name = from.name;
      key.sha256 = from.sha256;
      if (from.team) {
        key.team = from.team->text;
        if (std::find(teams.begin(), teams.end(), key.team) == teams.end()) {
          problem(from.team->place, "no team is called " + shown(*from.team) + suggestion(key.team, teams));
        }
      }
      key.limits = to_limits(limits_of(from.limits, nullptr));
      key.models = from.models;
      for (const Name& name : from.upstreams) {
        if (upstream_index(name)) key.upstreams.push_back(name.text);
      }
      if (from.default_upstream && upstream_index(*from.default_upstream))
        key.default_upstream = from.default_upstream->text;
      key.weight = from.weight;
      key.priority = from.priority;
      key.heartbeat = from.heartbeat;
      settings_->clients.keys.push_back(std::move(key));
    }
  }

  void copy_values() {
    proxy::ClientPolicy& clients = settings_->clients;
    clients.hosts = config_.clients.hosts;
    clients.origins = config_.clients.origins;
    clients.open_anywhere = config_.clients.open_anywhere;
    settings_->limits.body_bytes_max = config_.limits.body_bytes_max;
    settings_->limits.bodies_bytes_max = config_.limits.bodies_bytes_max.value();
    settings_->limits.header_bytes_max = config_.limits.header_bytes_max;
    settings_->limits.header_count_max = config_.limits.header_count_max;
    settings_->limits.json_depth_max = config_.limits.json_depth_max;
    settings_->client_timeouts.header = config_.timeouts.client_header;
    settings_->client_timeouts.body = config_.timeouts.client_body;
    settings_->client_timeouts.idle = config_.timeouts.client_idle;
    settings_->heartbeat.first_after = config_.heartbeat.first_after;
    settings_->heartbeat.stream_every = config_.heartbeat.stream_every;
    settings_->heartbeat.json_after = config_.heartbeat.json_after;
    settings_->heartbeat.json_every = config_.heartbeat.json_every;
    settings_->retry.enabled = config_.retry.enabled;
    settings_->breaker_enabled = config_.breaker.enabled;
    settings_->breaker_wait_max = config_.breaker.wait_max;
    // Without both weir is a plain relay.
    settings_->learn.enabled = config_.learn.enabled && (config_.retry.enabled || config_.breaker.enabled);
    settings_->learn.keep = config_.learn.keep;
    settings_->learn.start = config_.learn.start;
    settings_->retry.after_send = config_.retry.after_send;
    settings_->retry.tries_max = config_.retry.tries_max;
    settings_->retry.refusals_max = config_.retry.refusals_max;
    settings_->retry.pause_min = config_.retry.pause_min;
    settings_->retry.pause_max = config_.retry.pause_max;
    settings_->retry.kept_bodies_max = config_.retry.kept_bodies_max.value();
    settings_->queue.wait_max = config_.queue.wait_max;
    settings_->queue.requests_max = config_.queue.requests_max;
    settings_->queue.bytes_max = config_.queue.bytes_max.value();
    settings_->queue.refuse_oversize = config_.queue.refuse_oversize;
    settings_->operator_token = config_.operators.token;
    if (!is_loopback(config_.operators.listen) && config_.operators.token.empty()) {
      problem(config_.operators.place,
              "operator.listen is not a loopback address, so operator.token (WEIR_OPERATOR_TOKEN) is needed");
    }
  }

  ModeChoice resolve_mode() {
    ModeFacts facts;
    facts.asked = config_.clients.mode;
    facts.has_keys = !config_.keys.empty();
    facts.has_provider_key = std::any_of(config_.upstreams.begin(), config_.upstreams.end(),
                                         [](const UpstreamConfig& upstream) { return !upstream.api_key.empty(); });
    facts.loopback_only = is_loopback(config_.listen);
    facts.open_anywhere = config_.clients.open_anywhere;
    auto choice = choose_mode(facts);
    if (auto* mode = std::get_if<ModeChoice>(&choice)) return std::move(*mode);
    problem(config_.clients.mode ? config_.clients.place : config_.listen_place, std::get<std::string>(choice));
    return {};
  }

  const Config& config_;
  const std::string& folder_;
  const Environment& environment_;
  Problems& problems_;
  std::shared_ptr<proxy::Settings> settings_ = std::make_shared<proxy::Settings>();
  std::vector<ProviderPtr> providers_;  // by upstream index
};

}  // namespace

Resolved resolve_settings(const Config& config, const std::string& folder, const Environment& environment,
                          Problems& problems) {
  find_obstacles(config, environment, problems);
  return Resolver(config, folder, environment, problems).run();
}

}  // namespace weir::app
