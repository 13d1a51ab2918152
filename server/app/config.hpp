// The configuration as written: one struct per section of weir.yaml, with every default and unit. This is the only
// place where defaults live. Names of things are still names here; resolve_settings turns them into proxy::Settings.
// Nothing here opens a socket or looks at the network. Holds secrets: check.hpp is the only way to print one, masked.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "app/address.hpp"
#include "app/environment.hpp"
#include "app/problem.hpp"
#include "proxy/settings.hpp"

namespace weir::app {

using Duration = proxy::Duration;
using namespace std::chrono_literals;

// `unlimited`, said explicitly. A limit that is not said is nullopt and may come from a tier or a provider file.
inline constexpr std::uint64_t unlimited = std::numeric_limits<std::uint64_t>::max();
// `unlimited` for a timeout: ten years, so that now + timeout stays a valid instant.
inline constexpr Duration unlimited_duration = std::chrono::hours{24 * 3650};

// A reference to something by name, with its place for the message when nothing has that name.
struct Name {
  std::string text;
  Place place;
  bool interpolated = false;  // the text came from outside the file: not for messages
};
std::string shown(const Name& name);  // for messages: 'alice', or "the value there" of an interpolated one

// ---- limits ----------------------------------------------------------------------------------------------------

struct LimitsConfig {
  std::optional<std::uint64_t> rpm, rpd, tpm, tpd, input_tpm, output_tpm, concurrency;
  std::optional<Duration> window;      // what "per minute" means; default 60s, 1s to 1 day
  std::optional<Duration> guard;       // how much the delay to the provider may vary; default 50ms
  std::optional<Duration> pacing;      // a slice of the window over which the even rate must hold too; default none
  std::optional<std::uint64_t> burst;  // tokens at once above the even rate; default the whole limit
  std::optional<Duration> day_reset;   // when a day begins, after midnight UTC; default 0s

  bool empty() const;
};
LimitsConfig overlay(const LimitsConfig& base, const LimitsConfig& over);  // what `over` says wins, word by word

// `tier` and `limits` may stand side by side: the words of `limits` win over those of the tier.
struct LimitedBy {
  std::optional<Name> tier;
  LimitsConfig limits;
};

// ---- sections --------------------------------------------------------------------------------------------------

struct OperatorConfig {
  std::vector<ListenAddress> listen{{"127.0.0.1", 8081}};  // loopback: it shows who uses what
  Place place;
  std::string token;  // secret; required beyond loopback
};

struct ClientTls {
  std::string certificate, key;  // PEM files; both or none
  Place place, certificate_place, key_place;
};

struct ClientsConfig {
  std::optional<proxy::ClientMode> mode;  // unset: follows from what is configured (client_mode.hpp)
  bool open_anywhere = false;             // `open: anywhere`: spend a provider key for whoever can connect
  std::vector<std::string> hosts;         // Host values accepted in open mode beside loopback names
  std::vector<std::string> origins;       // Origin values let in; CORS is on for them
  ClientTls tls;
  Place place;
};

struct UpstreamTimeoutsConfig {  // nullopt: the next wider level decides (upstream, top level, provider, default)
  std::optional<Duration> connect, tls, first_byte, first_content, content_gap, byte_gap, total;
};

// Calls that a provider counts apart; an account may say other limits and timeouts for them.
struct BatchConfig {
  std::string path;  // of a provider: "/batch"
  LimitsConfig limits;
  UpstreamTimeoutsConfig timeouts;
};

// What an account has of its own for one model, by the model id that is sent upstream.
struct AccountModelConfig {
  std::string id;
  std::optional<Name> base_model;                // Ark's ep-... ids: the model whose limits, parameters and prices hold
  LimitedBy limits;                              // account x model
  std::vector<proxy::ParameterRule> parameters;  // win over the provider's
  Place place;
};

struct UpstreamConfig {
  std::string name;
  Name provider{"", {}};  // a shipped one, or a path that ends in .yaml, relative to the configuration file
  std::string base_url;   // empty: the provider's
  std::string api_key;    // secret; empty: none
  std::optional<proxy::AuthStyle> auth;  // nullopt: the provider's
  std::vector<std::pair<std::string, std::string>> headers;
  std::string query;
  LimitedBy limits;
  double share = 1.0;         // this instance's part of every limit, in (0, 1]
  Place share_place;          // of the flag or the variable that gives it; empty: the file does
  bool reserves_cap = false;  // `reserve: cap`
  UpstreamTimeoutsConfig timeouts;
  std::optional<BatchConfig> batch;
  std::vector<AccountModelConfig> models;
  std::string ca_file;
  Place ca_file_place;
  bool verify_tls = true;
  Place place;
};

struct RouteTargetConfig {
  Name upstream;
  std::string model;  // name to send; empty: the route's upstream_model
  unsigned weight = 1;
  unsigned order = 1;
};

struct ModelConfig {
  std::string name;  // what clients ask for; '*' matches any run of characters
  std::vector<RouteTargetConfig> upstreams;
  std::string upstream_model;      // name to send; empty: as the client sent it
  std::optional<Name> base_model;  // the model whose limits, parameters and prices hold for upstream_model
  bool listed = true;
  Place place;
};

struct TeamConfig {
  std::string name;
  LimitedBy limits;
  unsigned weight = 0;  // share of the account under contention, of its keys together; 0: they stand on their own
  Place place;
};

struct KeyConfig {
  std::string name;
  std::array<std::uint8_t, 32> sha256{};
  std::optional<Name> team;
  LimitedBy limits;
  std::vector<std::string> models;  // patterns; empty: all
  std::vector<Name> upstreams;      // that x-weir-upstream may name; empty: all
  std::optional<Name> default_upstream;
  unsigned weight = 1;                   // share of the account under contention
  std::string priority = "interactive";  // interactive, normal or background
  bool heartbeat = true;
  Place place;
};

struct QueueConfig {
  Duration wait_max = 10min;  // 0s: refuse instead of queueing
  std::size_t requests_max = 10'000;
  bool refuse_oversize = false;  // `oversize: refuse`; else a request larger than a budget runs alone and leaves a debt
  std::optional<std::size_t> bytes_max;  // nullopt: the smaller of 256MiB and 40 % of the cgroup's memory limit
};

struct HeartbeatConfig {       // `unlimited` is never
  Duration first_after = 15s;  // short waits keep every header and the true status
  Duration stream_every = 15s;
  Duration json_after = 4min;  // before Node's limit of 300 s to the first byte
  Duration json_every = 15s;
};

struct TimeoutsConfig {
  Duration client_header = 10s;
  Duration client_body = 60s;
  Duration client_idle = 75s;  // between two requests of one connection; above the 60 s of common pools
  UpstreamTimeoutsConfig upstream;
};

struct RetryConfig {
  bool enabled = true;
  bool after_send = true;      // `budgeted`; false: `off`, an unanswered call may have been billed
  unsigned tries_max = 4;      // of what fails: each may cost the upstream a call
  unsigned refusals_max = 8;   // of what is turned away: with pauses that double they outlast a minute's budget
  Duration pause_min = 500ms;  // without a hint: doubled each time, with full jitter
  Duration pause_max = 30s;
  // Of calls that were sent and have no content yet; nullopt: the smaller of 256MiB and 20 % of the cgroup's memory
  // limit.
  std::optional<std::size_t> kept_bodies_max;
};

struct BreakerConfig {
  bool enabled = true;
  Duration wait_max = 30s;  // for an account that failed in a row: long enough for a server to start anew
};

struct LearnConfig {
  bool enabled = true;
  Duration keep = 10min;     // a limit that is not met or said again in so long has probably changed
  std::uint64_t start = 32;  // more calls at once than one person's tools make
};

struct SizeLimitsConfig {
  std::size_t body_bytes_max = 64u << 20;       // a long context with images
  std::optional<std::size_t> bodies_bytes_max;  // nullopt: the smaller of 1GiB and 40 % of the cgroup's memory limit
  std::size_t header_bytes_max = 64u << 10;     // long bearer tokens and cookies of company gateways
  std::size_t header_count_max = 128;
  std::size_t json_depth_max = 256;      // deeper bodies exhaust the stacks of parsers upstream
  std::size_t connections_max = 20'000;  // of clients; each costs a descriptor, and its exchange another
};

enum class LogFormat { automatic, text, json };
enum class LogStream { standard_error, standard_output };
struct LogConfig {
  LogFormat format = LogFormat::automatic;  // text on a terminal, else JSON
  std::string level = "info";               // trace, debug, info, warn, error
  LogStream stream = LogStream::standard_error;
};

struct ShutdownConfig {
  Duration announce = 0s;  // /readyz says no, requests are still taken: for load balancers that must notice
  Duration drain = 25s;    // inside the 30 s that container runtimes allow
};

struct Config {
  std::vector<ListenAddress> listen{{"localhost", 8080}};  // localhost: 127.0.0.1 and ::1
  Place listen_place;
  OperatorConfig operators;
  ClientsConfig clients;
  std::vector<UpstreamConfig> upstreams;
  std::vector<ModelConfig> models;
  std::map<std::string, LimitsConfig> tiers;
  std::vector<TeamConfig> teams;
  std::vector<KeyConfig> keys;
  QueueConfig queue;
  HeartbeatConfig heartbeat;
  TimeoutsConfig timeouts;
  RetryConfig retry;
  BreakerConfig breaker;
  LearnConfig learn;
  SizeLimitsConfig limits;
  LogConfig log;
  ShutdownConfig shutdown;
  std::optional<unsigned> workers;  // nullopt: the smaller of CPU affinity and CPU quota, rounded up
  std::string state_file;           // empty: none
  Place state_file_place;
  Duration start_guard = 10s;  // without a state file a restart treats the tier as spent for so long
};

// Reads the text of a configuration file. What can be read is read, so that `problems` is complete; the Config is only
// good when no problem was added. `name` stands in messages.
Config read_config(std::string_view text, const std::string& name, const Environment& environment, Problems& problems);

// Every setting the loader knows, as "queue.wait_max", "keys[].name", "tiers.*.rpm"; sorted.
std::vector<std::string> known_settings();

}  // namespace weir::app
