#include "app/config.hpp"

#include <algorithm>
#include <set>

#include "app/section.hpp"
#include "app/units.hpp"
#include "app/words.hpp"
#include "app/yaml_tree.hpp"

namespace weir::app {
namespace {

constexpr std::size_t keys_max = 100'000;
constexpr std::uint64_t weight_max = 1000;  // beyond it the smallest share is lost in rounding
constexpr DurationRange timeout_range{.min = 1ms, .max = unlimited_duration, .may_be_unlimited = true};
constexpr DurationRange heartbeat_range{.min = 10ms, .max = unlimited_duration, .may_be_unlimited = true};

// `key` is where the name stands; empty: it is the section's own key.
void check_name(Section& section, std::string& name, std::string_view key = "name") {
  if (is_name(name)) return;
  name.clear();  // not for messages about other things
  section.problem(key, std::string(key.empty() ? "a bad name: " : "") + "expected " + name_form);
}

// Adds a named item unless one of that name is there.
template <class T>
void add_unique(Section& section, std::vector<T>& items, std::set<std::string>& names, T item) {
  if (!item.name.empty() && !names.insert(item.name).second) {
    section.problem("name", "is used twice");
    return;
  }
  items.push_back(std::move(item));
}

void read_listen(Section& section, std::vector<ListenAddress>& into, Place& place) {
  std::vector<Name> values;
  const bool said = section.has("listen");
  section.names("listen", values);
  if (!said || values.empty()) {
    if (said) section.problem("listen", "expected an address such as localhost:8080");
    return;
  }
  into.clear();
  place = values.front().place;
  for (const auto& value : values) {
    const auto parsed = parse_listen_address(value.text);
    if (const auto* address = std::get_if<ListenAddress>(&parsed))
      into.push_back(*address);
    else
      section.problem_of(value, "listen", std::get<std::string>(parsed), "an address such as localhost:8080");
  }
}

void read_operator(Section& section, OperatorConfig& config) {
  read_listen(section, config.listen, config.place);
  section.secret("token", config.token);
}

void read_file_name(Section& section, std::string_view key, std::string& name, Place& place) {
  if (auto value = section.scalar(key, "a text")) {
    name = std::move(value->text);
    place = value->place;
  }
}

void read_clients(Section& section, ClientsConfig& config) {
  config.place = section.place();
  section.choice("mode", config.mode, client_mode_words());
  section.choice("open", config.open_anywhere,
                 std::vector<std::pair<std::string, bool>>{{"loopback", false}, {"anywhere", true}});
  std::vector<Name> hosts, origins;
  section.names("hosts", hosts);
  section.names("origins", origins);
  for (const Name& value : hosts) {
    std::string host = value.text;
    std::transform(host.begin(), host.end(), host.begin(),
                   [](unsigned char c) { return static_cast<char>(c >= 'A' && c <= 'Z' ? c + 32 : c); });
    if (host.find('/') != std::string::npos ||
        (host.find(':') != std::string::npos && !(host.starts_with('[') && host.ends_with(']')))) {
      constexpr std::string_view expected = "a host name without scheme, port and path, such as weir.example.com";
      section.problem_of(value, "hosts", "expected " + std::string(expected), expected);
    }
    config.hosts.push_back(std::move(host));
  }
  for (const Name& value : origins) {
    constexpr std::string_view expected = "an origin such as https://app.example.com";
    const std::string& origin = value.text;
    if (origin == "*") {
      section.problem_of(value, "origins",
                         "each web page that may call is listed by its origin: '*' would let all of them spend the key",
                         expected);
    } else if (origin != "null" && origin.find("://") == std::string::npos) {
      section.problem_of(value, "origins", "expected " + std::string(expected) + ", found '" + origin + "'", expected);
    } else if (origin.ends_with('/')) {
      section.problem_of(value, "origins", "an origin has no slash at its end: '" + origin + "'", expected);
    }
    config.origins.push_back(origin);
  }
  section.section("tls", [&](Section& tls) {
    config.tls.place = tls.place();
    read_file_name(tls, "certificate", config.tls.certificate, config.tls.certificate_place);
    read_file_name(tls, "key", config.tls.key, config.tls.key_place);
    if (config.tls.certificate.empty() != config.tls.key.empty()) {
      tls.problem("", "'certificate' and 'key' are needed, both");
    }
  });
}

void read_upstream_timeouts(Section& section, UpstreamTimeoutsConfig& config) {
  section.duration("connect", config.connect, timeout_range);
  section.duration("tls", config.tls, timeout_range);
  section.duration("first_byte", config.first_byte, timeout_range);
  section.duration("first_content", config.first_content, timeout_range);
  section.duration("content_gap", config.content_gap, timeout_range);
  section.duration("byte_gap", config.byte_gap, timeout_range);
  section.duration("total", config.total, timeout_range);
}

void read_headers(Section& section, std::vector<std::pair<std::string, std::string>>& into) {
  section.pairs("headers", into);
  for (const auto& [name, value] : into) {
    if (const std::string fault = header_fault(name, value); !fault.empty()) section.problem("headers", fault);
  }
}

void read_account_models(Section& section, std::vector<AccountModelConfig>& into) {
  section.entries("models", [&](const std::string& id, Section& entry) {
    AccountModelConfig model;
    model.id = id;
    model.place = entry.place();
    entry.name("base_model", model.base_model);
    read_limited_by(entry, model.limits);
    read_parameters(entry, model.parameters);
    into.push_back(std::move(model));
  });
}

void read_upstream(Section& section, UpstreamConfig& config) {
  config.place = section.place();
  section.require("name");
  section.text("name", config.name);
  if (section.has("name")) check_name(section, config.name);
  std::optional<Name> provider;
  section.name("provider", provider);
  if (provider) config.provider = *provider;
  if (const auto url = section.scalar("base_url", "a URL")) {
    config.base_url = url->text;
    const auto parsed = parse_base_url(url->text);
    if (const auto* fault = std::get_if<std::string>(&parsed)) {
      section.problem_of({url->text, url->place, url->interpolated}, "base_url", *fault,
                         "a URL such as https://api.deepseek.com");
    }
  }
  section.secret("api_key", config.api_key);
  section.choice("auth", config.auth, auth_words());
  read_headers(section, config.headers);
  section.text("query", config.query);
  if (config.query.find_first_of("# \r\n?") != std::string::npos) {
    section.problem("query", "expected what follows the '?' of a URL, such as api-version=2024-10-21");
  }
  read_limited_by(section, config.limits);
  section.fraction("share", config.share, 0.000001, 1.0);
  section.choice("reserve", config.reserves_cap,
                 std::vector<std::pair<std::string, bool>>{{"forecast", false}, {"cap", true}});
  section.section("timeouts", [&](Section& timeouts) { read_upstream_timeouts(timeouts, config.timeouts); });
  if (section.has("batch")) config.batch.emplace();
  section.section("batch", [&](Section& batch) {
    BatchConfig ignored;
    BatchConfig& own = config.batch ? *config.batch : ignored;
    batch.section("limits", [&](Section& limits) { read_limits(limits, own.limits); });
    batch.section("timeouts", [&](Section& timeouts) { read_upstream_timeouts(timeouts, own.timeouts); });
  });
  read_account_models(section, config.models);
  read_file_name(section, "ca_file", config.ca_file, config.ca_file_place);
  section.flag("verify_tls", config.verify_tls);
}

void read_model(Section& section, ModelConfig& config) {
  config.place = section.place();
  section.require("name");
  section.require("upstreams");
  section.text("name", config.name);
  if (section.has("name") && config.name.empty()) section.problem("name", "is empty");
  bool some = false;
  section.list(
      "upstreams",
      [&](Section& item) {
        some = true;
        RouteTargetConfig target;
        std::optional<Name> name;
        item.require("name");
        item.name("name", name);
        item.text("model", target.model);
        item.count("weight", target.weight, 1, weight_max);
        item.count("order", target.order, 1, weight_max);
        if (!name) return;  // which has been reported
        target.upstream = *name;
        config.upstreams.push_back(std::move(target));
      },
      "name");
  if (section.has("upstreams") && !some) section.problem("upstreams", "names none");
  section.text("upstream_model", config.upstream_model);
  section.name("base_model", config.base_model);
  section.flag("listed", config.listed);
}

void read_key(Section& section, KeyConfig& config) {
  config.place = section.place();
  section.require("name");
  section.require("hash");
  section.text("name", config.name);
  if (section.has("name")) check_name(section, config.name);
  if (const auto hash = section.secret_scalar("hash")) {
    if (!parse_key_hash(hash->text, config.sha256)) {
      section.problem(
          "hash", hash->text.starts_with("sk-")
                      ? "this is a key, not its hash: put the key away and write what `weir hash-key` prints"
                      : "expected sha256: and 64 hexadecimal digits, as `weir new-key` and `weir hash-key` print them");
    }
  }
  section.name("team", config.team);
  read_limited_by(section, config.limits);
  section.texts("models", config.models);
  section.names("upstreams", config.upstreams);
  section.name("default_upstream", config.default_upstream);
  section.count("weight", config.weight, 1, weight_max);
  section.choice("priority", config.priority, priority_words());
  section.flag("heartbeat", config.heartbeat);
}

void read_keys(Section& file, std::vector<KeyConfig>& keys) {
  std::set<std::string> names;
  std::set<std::array<std::uint8_t, 32>> hashes;
  file.list(
      "keys",
      [&](Section& section) {
        KeyConfig key;
        read_key(section, key);
        const bool has_hash = key.sha256 != std::array<std::uint8_t, 32>{};
        if (has_hash && !hashes.insert(key.sha256).second)
          section.problem("hash", "is used twice: each key needs its own");
        add_unique(section, keys, names, std::move(key));
      },
      {}, keys_max);
}

void read_timeouts(Section& section, TimeoutsConfig& config) {
  section.duration("client_header", config.client_header, timeout_range);
  section.duration("client_body", config.client_body, timeout_range);
  section.duration("client_idle", config.client_idle, timeout_range);
  read_upstream_timeouts(section, config.upstream);
}

// One whose default follows the machine.
void read_size(Section& section, const char* key, std::optional<std::size_t>& into) {
  std::size_t bytes = 0;
  const bool said = section.has(key);
  section.size(key, bytes, 0, std::size_t{1} << 40);
  if (said) into = bytes;
}

void read_queue(Section& section, QueueConfig& config) {
  section.duration("wait_max", config.wait_max, {.min = 0ms, .max = unlimited_duration, .may_be_unlimited = true});
  section.count("requests_max", config.requests_max, 0, 10'000'000);
  section.choice("oversize", config.refuse_oversize,
                 std::vector<std::pair<std::string, bool>>{{"alone", false}, {"refuse", true}});
  read_size(section, "bytes_max", config.bytes_max);
}

void read_heartbeat(Section& section, HeartbeatConfig& config) {
  section.duration("first_after", config.first_after, heartbeat_range);
  section.duration("stream_every", config.stream_every, heartbeat_range);
  section.duration("json_after", config.json_after, heartbeat_range);
  section.duration("json_every", config.json_every, heartbeat_range);
}

void read_size_limits(Section& section, SizeLimitsConfig& config) {
  section.size("body_bytes_max", config.body_bytes_max, 1024, std::size_t{1} << 34);
  read_size(section, "bodies_bytes_max", config.bodies_bytes_max);
  section.size("header_bytes_max", config.header_bytes_max, 1024, std::size_t{1} << 24);
  section.count("header_count_max", config.header_count_max, 8, 10'000);
  section.count("json_depth_max", config.json_depth_max, 8, 1024);
  section.count("connections_max", config.connections_max, 1, 10'000'000);
}

void read_log(Section& section, LogConfig& config) {
  section.choice("format", config.format, log_format_words());
  section.choice("level", config.level, log_level_words());
  section.choice("stream", config.stream, log_stream_words());
}

void read_workers(Section& file, std::optional<unsigned>& workers) {
  const auto value = file.scalar("workers", "a whole number, or auto");
  if (!value || value->text == "auto") return;
  const auto number = parse_count(value->text);
  if (!number || *number == 0 || *number > workers_max) {
    file.problem("workers", "expected a whole number from 1 to " + std::to_string(workers_max) + ", or auto; found " +
                                value->shown);
    return;
  }
  workers = static_cast<unsigned>(*number);
}

// False: the file is of another format, so that nothing else in it means what it seems to.
bool read_version(Section& file) {
  const auto value = file.scalar("version", "a whole number");
  if (!value || value->text == "1") return true;
  file.problem("version", "expected 1, the only version of this file's format that weir " WEIR_VERSION
                          " knows; found " +
                              value->shown + ". The rest was not read");
  return false;
}

void read_file(Section& file, Config& config) {
  read_listen(file, config.listen, config.listen_place);
  file.section("operator", [&](Section& section) { read_operator(section, config.operators); });
  file.section("clients", [&](Section& section) { read_clients(section, config.clients); });
  std::set<std::string> upstream_names;
  file.list("upstreams", [&](Section& section) {
    UpstreamConfig upstream;
    read_upstream(section, upstream);
    add_unique(section, config.upstreams, upstream_names, std::move(upstream));
  });
  std::set<std::string> model_names;
  file.list("models", [&](Section& section) {
    ModelConfig model;
    read_model(section, model);
    add_unique(section, config.models, model_names, std::move(model));
  });
  file.entries("tiers", [&](const std::string& name, Section& section) { read_limits(section, config.tiers[name]); });
  file.entries("teams", [&](const std::string& name, Section& section) {
    TeamConfig team;
    team.name = name;
    team.place = section.place();
    check_name(section, team.name, "");
    read_limited_by(section, team.limits);
    section.count("weight", team.weight, 1, weight_max);
    config.teams.push_back(std::move(team));
  });
  read_keys(file, config.keys);
  file.section("queue", [&](Section& section) { read_queue(section, config.queue); });
  file.section("heartbeat", [&](Section& section) { read_heartbeat(section, config.heartbeat); });
  file.section("timeouts", [&](Section& section) { read_timeouts(section, config.timeouts); });
  file.section("retry", [&](Section& section) {
    section.flag("enabled", config.retry.enabled);
    section.choice("after_send", config.retry.after_send,
                   std::vector<std::pair<std::string, bool>>{{"budgeted", true}, {"off", false}});
    section.count("tries_max", config.retry.tries_max, 1, 100);
    section.count("refusals_max", config.retry.refusals_max, 1, 1000);
    section.duration("pause_min", config.retry.pause_min, {.min = 1ms, .max = 1h});
    section.duration("pause_max", config.retry.pause_max, {.min = 1ms, .max = 1h});
    read_size(section, "kept_bodies_max", config.retry.kept_bodies_max);
  });
  file.section("breaker", [&](Section& section) {
    section.flag("enabled", config.breaker.enabled);
    section.duration("wait_max", config.breaker.wait_max, {.min = 0ms, .max = 1h});
  });
  file.section("learn", [&](Section& section) {
    section.flag("enabled", config.learn.enabled);
    section.duration("keep", config.learn.keep, {.min = 1s, .max = 24h});
    section.count("start", config.learn.start, 1, 1'000'000);
  });
  file.section("limits", [&](Section& section) { read_size_limits(section, config.limits); });
  file.section("log", [&](Section& section) { read_log(section, config.log); });
  file.section("shutdown", [&](Section& section) {
    section.duration("announce", config.shutdown.announce, {.min = 0ms, .max = 1h});
    section.duration("drain", config.shutdown.drain, {.min = 0ms, .max = 24h});
  });
  read_workers(file, config.workers);
  if (auto value = file.scalar("state_file", "a text")) {
    config.state_file = std::move(value->text);
    config.state_file_place = value->place;
  }
  file.duration("start_guard", config.start_guard, {.min = 0ms, .max = 24h});
}

}  // namespace

std::string shown(const Name& name) {
  return name.interpolated ? "the value there" : "'" + name.text + "'";
}

bool LimitsConfig::empty() const {
  return !rpm && !rpd && !tpm && !tpd && !input_tpm && !output_tpm && !concurrency && !window && !guard && !pacing &&
         !burst && !day_reset;
}

LimitsConfig overlay(const LimitsConfig& base, const LimitsConfig& over) {
  LimitsConfig result = base;
  const auto put = [](auto& into, const auto& value) {
    if (value) into = value;
  };
  put(result.rpm, over.rpm);
  put(result.rpd, over.rpd);
  put(result.tpm, over.tpm);
  put(result.tpd, over.tpd);
  put(result.input_tpm, over.input_tpm);
  put(result.output_tpm, over.output_tpm);
  put(result.concurrency, over.concurrency);
  put(result.window, over.window);
  put(result.guard, over.guard);
  put(result.pacing, over.pacing);
  put(result.burst, over.burst);
  put(result.day_reset, over.day_reset);
  return result;
}

Config read_config(std::string_view text, const std::string& name, const Environment& environment, Problems& problems) {
  Config config;
  const std::size_t before = problems.size();
  const YamlNode tree = parse_yaml(text, name, problems);
  if (tree.kind == YamlNode::Kind::null && problems.size() > before) return config;  // a syntax error hides the rest
  ReadContext context{environment, problems, nullptr};
  Section file(context, &tree, "", "");
  if (!read_version(file)) return config;
  read_file(file, config);
  file.finish();
  return config;
}

std::vector<std::string> known_settings() {
  return keys_read_by([](Section& file) {
    Config config;
    read_version(file);
    read_file(file, config);
  });
}

}  // namespace weir::app
