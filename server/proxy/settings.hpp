// What a running proxy is told: the configuration and the provider files, resolved into values that requests can use
// without a look-up by name. Built by app::resolve_settings, shared as an immutable snapshot (one per reload): an
// exchange keeps the snapshot it started with. Holds secrets; never printed.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "protocol/api.hpp"
#include "proxy/charge_rules.hpp"
#include "proxy/error_rules.hpp"

namespace weir::proxy {

using Duration = std::chrono::milliseconds;

// Limits in the words of the configuration; nullopt: unlimited.
struct Limits {
  std::optional<std::uint64_t> rpm, rpd, tpm, tpd, input_tpm, output_tpm, concurrency;
  Duration window{60'000};             // what "per minute" means
  Duration guard{50};                  // by how much the delay to the provider may vary
  Duration pacing{0};                  // a slice of the window over which the even rate must hold too; 0: none
  std::optional<std::uint64_t> burst;  // tokens at once above the even rate; nullopt: the whole limit
  Duration day_reset{0};               // when a day begins, after midnight UTC

  bool concurrency_said = false;  // be it a number or `unlimited`

  bool any() const { return rpm || rpd || tpm || tpd || input_tpm || output_tpm || concurrency; }
};

// What happens to a parameter a model does not take.
enum class ParameterAction {
  forward,  // sent, nothing said
  ignore,   // sent, and named in x-weir-ignored-params: the provider ignores it silently
  drop,     // left out of the body
  reject,   // 400 naming the parameter
};
struct ParameterRule {
  std::string name;  // a top-level member of the body
  ParameterAction action = ParameterAction::forward;
};

// Prices of a million tokens, and since when they hold.
struct Price {
  std::string since;     // ISO date, inclusive; empty: always
  std::string until;     // ISO date, exclusive; empty: still
  std::string currency;  // "USD", "CNY"
  double input = 0, cached_input = 0, output = 0;
};

// When a provider's prices are multiplied. Public holidays, which it may except, are not known.
struct PeakHours {
  std::string since;  // as of a price
  double factor = 1;
  std::array<bool, 7> days{};              // from Sunday, in UTC
  std::vector<std::pair<int, int>> hours;  // minutes of the day in UTC: from, until
};

// A model as one provider serves it.
struct ModelProfile {
  std::string name;  // the provider's id, or a pattern with '*'
  std::vector<ParameterRule> parameters;
  bool text_only = false;  // image, audio and file parts are refused with 400
  Limits limits;
  std::optional<std::uint64_t> context_tokens, input_tokens_max, output_tokens_max, output_tokens_default,
      thinking_tokens_max;
  std::vector<Price> prices, batch_prices;
  std::string base_model;              // what `name` is an alias of; empty: itself
  std::optional<Charge> charge;        // nullopt: the upstream's
  std::vector<OutputCap> output_caps;  // empty: the upstream's
};

// Which of an upstream's rate limit headers can be believed.
enum class LimitHeaders {
  none,
  all,
  tokens,  // those of tokens: requests are counted in slices of a minute
};

enum class AuthStyle { bearer, api_key_header, x_api_key, none };

struct UpstreamTimeouts {
  Duration connect{5'000}, tls{5'000}, first_byte{600'000}, first_content{600'000}, content_gap{120'000},
      byte_gap{120'000}, total{1'800'000};
};

// Calls that a provider counts apart (Ark's /batch/*): limits, clocks and prices of their own, and nothing of the
// rest's.
struct BatchService {
  std::string path;  // "/batch": it, and what is below it
  Limits limits;
  UpstreamTimeouts timeouts;
};

// Where one API family lives at a provider. `prefix` is put before the rest of the path: base "https://h", prefix
// "/api/v3", family path "/chat/completions".
struct FamilyPath {
  bool served = false;
  std::string prefix;  // "", "/v1", "/anthropic/v1", ...
};

// An upstream account.
struct Upstream {
  std::string name;
  std::string provider;  // "deepseek", "volcengine-ark", ..., "generic"
  bool tls = true;
  std::string host;  // without brackets
  std::uint16_t port = 443;
  std::string authority;               // the Host header: host, with the port unless it is the scheme's own
  std::array<FamilyPath, 7> families;  // by protocol::Api; `other` is the prefix of pass-through paths
  std::string query;                   // added to every request, e.g. "api-version=2024-10-21"; may be empty
  AuthStyle auth = AuthStyle::bearer;
  std::string api_key;  // empty: none configured (pass-through)
  std::vector<std::pair<std::string, std::string>>
      headers;                // added unless the client sent them, e.g. anthropic-version
  bool asks_usage = true;     // stream_options.include_usage is understood
  std::string running_usage;  // the option that puts the usage so far into every chunk; empty: none
  LimitHeaders limit_headers = LimitHeaders::none;
  bool queue_headers = false;                // another weir: told the caller's lane, priority and what it will wait
  bool model_in_path = false;                // Azure: /openai/deployments/{model}/...
  std::vector<std::string> native_prefixes;  // "/api/v3", "/beta", "/anthropic", "/user/": paths of this provider's own
  Limits limits;
  double share = 1.0;
  Charge charge;
  std::optional<PeakHours> peak;  // of the models' prices
  std::vector<OutputCap> output_caps;
  bool reserves_cap = false;  // budgets hold the most a call can produce, not what it is expected to
  UpstreamTimeouts timeouts;
  std::optional<BatchService> batch;  // nullopt: the provider counts nothing apart
  std::string ca_file;                // empty: the system's
  bool verify_tls = true;
  std::vector<ModelProfile> models;    // first match wins
  std::vector<ErrorRule> error_rules;  // first match wins
};

// One way from a model name to an account.
struct Target {
  std::size_t upstream = 0;  // index into Settings::upstreams
  std::string model;         // the name to send; empty: as the client sent it
  unsigned weight = 1;
  unsigned order = 1;  // the lower, the sooner it is asked
};

struct ModelRoute {
  std::string pattern;  // "deepseek-r1", "gpt-*"
  std::vector<Target> targets;
  bool listed = true;  // in GET /v1/models (patterns are expanded from the provider's models)
};

struct ClientKey {
  std::string name;
  std::array<std::uint8_t, 32> sha256{};
  std::string team;
  Limits limits;
  std::vector<std::string> models;     // patterns; empty: all
  std::vector<std::string> upstreams;  // that x-weir-upstream may name; empty: all
  std::string default_upstream;        // for paths without a model; may be empty
  unsigned weight = 1;
  std::string priority = "interactive";
  bool heartbeat = true;
};

enum class ClientMode { keys, pass_through, open };

// A group of keys with a budget of its own.
struct Team {
  std::string name;
  Limits limits;
  unsigned weight = 0;  // 0: its keys stand on their own
};

struct ClientPolicy {
  ClientMode mode = ClientMode::open;
  std::vector<std::string> hosts;    // Host values accepted in open mode beside loopback names, without port
  std::vector<std::string> origins;  // Origin values allowed; also turns CORS on for them
  std::vector<ClientKey> keys;
  std::vector<Team> teams;
  bool open_anywhere = false;
};

struct BodyLimits {
  std::size_t body_bytes_max = 64u << 20;
  std::size_t bodies_bytes_max = 1u << 30;  // of all that are being read, or sent for the first time
  std::size_t header_bytes_max = 64u << 10;
  std::size_t header_count_max = 128;
  std::size_t json_depth_max = 256;
};

struct ClientTimeouts {
  Duration header{10'000}, body{60'000}, idle{75'000};
};

struct HeartbeatSettings {
  Duration first_after{15'000}, stream_every{15'000}, json_after{240'000}, json_every{15'000};
};

struct RetrySettings {
  bool enabled = true;
  bool after_send = true;     // false: a call that may have been billed is not repeated
  unsigned tries_max = 4;     // of what fails
  unsigned refusals_max = 8;  // and of what is turned away
  Duration pause_min{500}, pause_max{30'000};
  std::size_t kept_bodies_max = 256u << 20;  // of calls that were sent, for another try
};

// What is learned of the limits of upstreams.
struct LearnSettings {
  bool enabled = true;
  Duration keep{600'000};    // how long it holds
  std::uint64_t start = 32;  // calls at once, where nothing is known
};

struct QueueSettings {
  Duration wait_max{600'000};  // zero: refuse instead of queueing
  std::size_t requests_max = 10'000;
  std::size_t bytes_max = 256u << 20;
  bool refuse_oversize = false;  // a request larger than a whole budget: refused, or alone against a full one
};

struct Settings {
  std::vector<Upstream> upstreams;
  std::vector<ModelRoute> routes;  // first match wins: exact names before patterns
  ClientPolicy clients;
  BodyLimits limits;
  ClientTimeouts client_timeouts;
  HeartbeatSettings heartbeat;
  QueueSettings queue;
  RetrySettings retry;
  LearnSettings learn;
  bool breaker_enabled = true;        // accounts that fail or have no money are given a rest
  Duration breaker_wait_max{30'000};  // the longest wait for an account that failed in a row and rests
  bool models_from_upstream = false;  // one upstream and no configured models: its own GET /models is the list
  std::string operator_token;         // empty: none
};

using SettingsPtr = std::shared_ptr<const Settings>;

// '*' matches any run of characters; everything else itself.
bool matches_pattern(std::string_view pattern, std::string_view text);

}  // namespace weir::proxy

// Compiled in settings.cpp, and not in every file that copies or drops settings.
extern template class std::vector<weir::proxy::ClientKey>;
extern template class std::vector<weir::proxy::ErrorRule>;
extern template class std::vector<weir::proxy::ModelProfile>;
extern template class std::vector<weir::proxy::ModelRoute>;
extern template class std::vector<weir::proxy::Team>;
extern template class std::vector<weir::proxy::Upstream>;
