// Every default that users depend on, with and without a file.
#include <gtest/gtest.h>

#include <sstream>

#include "app/config_support.hpp"
#include "app/machine.hpp"

namespace weir::app {
namespace {

constexpr std::size_t mib = 1u << 20;

TEST(Defaults, ListenersAreOnLoopback) {
  const Config config = config_of("version: 1\n");
  ASSERT_EQ(config.listen.size(), 1u);
  EXPECT_EQ(to_string(config.listen[0]), "localhost:8080");
  ASSERT_EQ(config.operators.listen.size(), 1u);
  EXPECT_EQ(to_string(config.operators.listen[0]), "127.0.0.1:8081");
  EXPECT_EQ(config.operators.token, "");
}

TEST(Defaults, ClientsModeFollowsFromWhatIsConfigured) {
  const Config config = config_of("");
  EXPECT_EQ(config.clients.mode, std::nullopt);
  EXPECT_FALSE(config.clients.open_anywhere);
  EXPECT_TRUE(config.clients.hosts.empty());
  EXPECT_TRUE(config.clients.origins.empty());
  EXPECT_EQ(config.clients.tls.certificate, "");
}

TEST(Defaults, QueueWaitsTenMinutes) {
  const Config config = config_of("");
  EXPECT_EQ(config.queue.wait_max, 10min);
  EXPECT_EQ(config.queue.requests_max, 10'000u);
  EXPECT_EQ(config.queue.bytes_max, std::nullopt);
}

// The bug: bodies that had been sent were kept up to 256 MiB whatever the limit, and what was worked out for the queue
// was shown by weir check alone.
TEST(Defaults, BodiesAreBoundedByTheMemoryOfTheContainer) {
  const Loaded loaded = load({{{"WEIR_UPSTREAM", "http://127.0.0.1:1"}}, {}});
  EXPECT_EQ(loaded.config.queue.bytes_max, default_queue_bytes());
  EXPECT_EQ(loaded.settings->queue.bytes_max, default_queue_bytes());
  EXPECT_LE(default_queue_bytes(), 256 * mib);
  EXPECT_GT(default_queue_bytes(), 0u);
  EXPECT_EQ(loaded.config.limits.bodies_bytes_max, default_bodies_bytes());
  EXPECT_EQ(loaded.settings->limits.bodies_bytes_max, default_bodies_bytes());
  EXPECT_LE(default_bodies_bytes(), 1024 * mib);
  EXPECT_GE(default_bodies_bytes(), default_queue_bytes());
  EXPECT_EQ(loaded.config.retry.kept_bodies_max, default_kept_bytes());
  EXPECT_EQ(loaded.settings->retry.kept_bodies_max, default_kept_bytes());
  EXPECT_LE(default_kept_bytes(), default_queue_bytes());
  EXPECT_GT(default_kept_bytes(), 0u);
}

TEST(Defaults, BodiesAreBoundedAsConfigured) {
  const Loaded loaded = load(with_config(
      "upstreams: [{name: a, base_url: \"http://127.0.0.1:1\"}]\n"
      "queue: {bytes_max: 900MiB}\nretry: {kept_bodies_max: 800MiB}\nlimits: {bodies_bytes_max: 700MiB}\n"));
  EXPECT_EQ(loaded.settings->limits.bodies_bytes_max, 700 * mib);
  EXPECT_EQ(loaded.settings->queue.bytes_max, 900 * mib);
  EXPECT_EQ(loaded.settings->retry.kept_bodies_max, 800 * mib);
}

TEST(Defaults, Heartbeats) {
  const Config config = config_of("");
  EXPECT_EQ(config.heartbeat.first_after, 15s);
  EXPECT_EQ(config.heartbeat.stream_every, 15s);
  EXPECT_EQ(config.heartbeat.json_after, 4min);
  EXPECT_EQ(config.heartbeat.json_every, 15s);
}

TEST(Defaults, TimeoutsOfClients) {
  const Config config = config_of("");
  EXPECT_EQ(config.timeouts.client_header, 10s);
  EXPECT_EQ(config.timeouts.client_body, 60s);
  EXPECT_EQ(config.timeouts.client_idle, 75s);
}

TEST(Defaults, TimeoutsOfUpstreams) {
  const Loaded loaded = load({{{"WEIR_UPSTREAM", "http://127.0.0.1:1"}}, {}});
  const proxy::UpstreamTimeouts& timeouts = first_upstream(loaded).timeouts;
  EXPECT_EQ(timeouts.connect, 5s);
  EXPECT_EQ(timeouts.tls, 5s);
  EXPECT_EQ(timeouts.first_byte, 10min);
  EXPECT_EQ(timeouts.first_content, 10min);
  EXPECT_EQ(timeouts.content_gap, 2min);
  EXPECT_EQ(timeouts.byte_gap, 2min);
  EXPECT_EQ(timeouts.total, 30min);
}

TEST(Defaults, RetriesAreBudgetedAndTheBreakerIsOn) {
  const Config config = config_of("");
  EXPECT_TRUE(config.retry.enabled);
  EXPECT_TRUE(config.retry.after_send);
  EXPECT_EQ(config.retry.tries_max, 4u);
  EXPECT_EQ(config.retry.refusals_max, 8u);
  EXPECT_EQ(config.retry.pause_min, 500ms);
  EXPECT_EQ(config.retry.pause_max, 30s);
  EXPECT_EQ(config.retry.kept_bodies_max, std::nullopt);
  EXPECT_TRUE(config.breaker.enabled);
  EXPECT_EQ(config.breaker.wait_max, 30s);
  EXPECT_TRUE(config.learn.enabled);
  EXPECT_EQ(config.learn.keep, 10min);
  EXPECT_EQ(config.learn.start, 32u);
}

TEST(Defaults, NoStateFileAndAStartGuard) {
  const Config config = config_of("");
  EXPECT_EQ(config.state_file, "");
  EXPECT_EQ(config.start_guard, 10s);
}

TEST(Defaults, AMeterHasAWindowOfAMinute) {
  const Loaded loaded = load({{{"WEIR_UPSTREAM", "http://127.0.0.1:1"}}, {}});
  EXPECT_EQ(first_upstream(loaded).limits.window, 60s);
  EXPECT_EQ(first_upstream(loaded).limits.rpm, std::nullopt);
  EXPECT_EQ(first_upstream(loaded).limits.tpm, std::nullopt);
  EXPECT_EQ(first_upstream(loaded).share, 1.0);
}

TEST(Defaults, SizesOfRequests) {
  const Loaded loaded = load({{{"WEIR_UPSTREAM", "http://127.0.0.1:1"}}, {}});
  EXPECT_EQ(loaded.settings->limits.body_bytes_max, 64 * mib);
  EXPECT_EQ(loaded.settings->limits.header_bytes_max, std::size_t{64} << 10);
  EXPECT_EQ(loaded.settings->limits.header_count_max, 128u);
  EXPECT_EQ(loaded.settings->limits.json_depth_max, 256u);
  EXPECT_EQ(loaded.config.limits.connections_max, 20'000u);
}

TEST(Defaults, TheLogGoesToStandardErrorInAFormThatFitsIt) {
  const Config config = config_of("");
  EXPECT_EQ(config.log.format, LogFormat::automatic);
  EXPECT_EQ(config.log.level, "info");
  EXPECT_EQ(config.log.stream, LogStream::standard_error);
}

TEST(Defaults, ShutdownDrainsInsideThirtySeconds) {
  const Config config = config_of("");
  EXPECT_EQ(config.shutdown.announce, 0s);
  EXPECT_EQ(config.shutdown.drain, 25s);
}

TEST(Defaults, WorkersFollowTheMachine) {
  EXPECT_EQ(config_of("").workers, std::nullopt);
  EXPECT_EQ(config_of("workers: auto\n").workers, std::nullopt);
  EXPECT_EQ(load({{{"WEIR_UPSTREAM", "http://127.0.0.1:1"}}, {}}).config.workers, default_workers());
}

TEST(Defaults, OfAKeyATeamAnUpstreamAndAModel) {
  const Config config = config_of(
      "keys: [{name: a, hash: \"sha256:00000000000000000000000000000000000000000000000000000000000000ff\"}]\n"
      "teams: {t: {}}\nupstreams: [{name: u, provider: openai}]\nmodels: [{name: m, upstreams: u}]\n");
  const KeyConfig& key = config.keys.at(0);
  EXPECT_EQ(key.weight, 1u);
  EXPECT_EQ(key.priority, "interactive");
  EXPECT_TRUE(key.heartbeat);
  EXPECT_TRUE(key.models.empty());
  EXPECT_TRUE(key.upstreams.empty());
  EXPECT_TRUE(key.limits.limits.empty());
  EXPECT_EQ(config.teams.at(0).weight, 0u);
  EXPECT_EQ(config.upstreams.at(0).share, 1.0);
  EXPECT_TRUE(config.upstreams.at(0).verify_tls);
  EXPECT_EQ(config.models.at(0).upstreams.at(0).weight, 1u);
  EXPECT_TRUE(config.models.at(0).listed);
}

std::string shipped_example() {
  return process_environment().read_file(WEIR_SOURCE_DIR "/config/weir.yaml").value_or("");
}

// With every '#' removed that stands before a setting; words to people have a space between the two.
TEST(Defaults, AllThatIsCommentedOutInTheShippedExampleIsGoodToo) {
  std::string all;
  std::istringstream lines(shipped_example());
  for (std::string line; std::getline(lines, line);) {
    const std::size_t sign = line.find_first_not_of(' ');
    const bool setting = sign != std::string::npos && line[sign] == '#' && sign + 1 < line.size() &&
                         (line[sign + 1] != ' ' || line.compare(sign + 1, 2, "  ") == 0);
    if (setting) line.erase(sign, 1);
    all += line + "\n";
  }
  const World world{{{"ARK_API_KEY", "k"}}, {{"/run/secrets/operator", "t"}}};
  EXPECT_EQ(read(all, world).problems, "");
}

TEST(Defaults, TheShippedExampleHasEverySetting) {
  const std::string text = shipped_example();
  for (const std::string& setting : known_settings()) {
    std::string word = setting.substr(setting.find_last_of(".]") + 1);
    if (setting.ends_with("[]") || word == "*") continue;
    EXPECT_NE(text.find(word + ":"), std::string::npos) << setting;
  }
  for (const char* provider : {"anthropic", "azure-openai", "deepseek", "fireworks", "generic", "openai", "openrouter",
                               "vllm", "weir", "volcengine-ark"})
    EXPECT_NE(text.find(provider), std::string::npos) << provider;
}

// config/weir.yaml shows the defaults: as it stands it must change none of them.
TEST(Defaults, AreWhatTheShippedExampleSays) {
  const auto text = process_environment().read_file(WEIR_SOURCE_DIR "/config/weir.yaml");
  ASSERT_TRUE(text);
  const Config shipped = config_of(*text), none = config_of("");
  EXPECT_EQ(to_string(shipped.listen.at(0)), to_string(none.listen.at(0)));
  EXPECT_EQ(to_string(shipped.operators.listen.at(0)), to_string(none.operators.listen.at(0)));
  EXPECT_EQ(shipped.clients.open_anywhere, none.clients.open_anywhere);
  EXPECT_EQ(shipped.queue.wait_max, none.queue.wait_max);
  EXPECT_EQ(shipped.queue.requests_max, none.queue.requests_max);
  EXPECT_EQ(shipped.heartbeat.first_after, none.heartbeat.first_after);
  EXPECT_EQ(shipped.heartbeat.stream_every, none.heartbeat.stream_every);
  EXPECT_EQ(shipped.heartbeat.json_after, none.heartbeat.json_after);
  EXPECT_EQ(shipped.heartbeat.json_every, none.heartbeat.json_every);
  EXPECT_EQ(shipped.timeouts.client_header, none.timeouts.client_header);
  EXPECT_EQ(shipped.timeouts.client_body, none.timeouts.client_body);
  EXPECT_EQ(shipped.timeouts.client_idle, none.timeouts.client_idle);
  EXPECT_EQ(shipped.timeouts.upstream.connect, proxy::UpstreamTimeouts{}.connect);
  EXPECT_EQ(shipped.timeouts.upstream.tls, proxy::UpstreamTimeouts{}.tls);
  EXPECT_EQ(shipped.timeouts.upstream.content_gap, proxy::UpstreamTimeouts{}.content_gap);
  EXPECT_EQ(shipped.timeouts.upstream.byte_gap, proxy::UpstreamTimeouts{}.byte_gap);
  EXPECT_EQ(shipped.retry.enabled, none.retry.enabled);
  EXPECT_EQ(shipped.retry.after_send, none.retry.after_send);
  EXPECT_EQ(shipped.retry.tries_max, none.retry.tries_max);
  EXPECT_EQ(shipped.retry.refusals_max, none.retry.refusals_max);
  EXPECT_EQ(shipped.retry.pause_min, none.retry.pause_min);
  EXPECT_EQ(shipped.retry.pause_max, none.retry.pause_max);
  EXPECT_EQ(shipped.retry.kept_bodies_max, none.retry.kept_bodies_max);
  EXPECT_EQ(shipped.breaker.enabled, none.breaker.enabled);
  EXPECT_EQ(shipped.breaker.wait_max, none.breaker.wait_max);
  EXPECT_EQ(shipped.learn.enabled, none.learn.enabled);
  EXPECT_EQ(shipped.learn.keep, none.learn.keep);
  EXPECT_EQ(shipped.learn.start, none.learn.start);
  EXPECT_EQ(shipped.limits.body_bytes_max, none.limits.body_bytes_max);
  EXPECT_EQ(shipped.limits.bodies_bytes_max, none.limits.bodies_bytes_max);
  EXPECT_EQ(shipped.limits.header_bytes_max, none.limits.header_bytes_max);
  EXPECT_EQ(shipped.limits.header_count_max, none.limits.header_count_max);
  EXPECT_EQ(shipped.limits.json_depth_max, none.limits.json_depth_max);
  EXPECT_EQ(shipped.limits.connections_max, none.limits.connections_max);
  EXPECT_EQ(shipped.log.format, none.log.format);
  EXPECT_EQ(shipped.log.level, none.log.level);
  EXPECT_EQ(shipped.log.stream, none.log.stream);
  EXPECT_EQ(shipped.shutdown.announce, none.shutdown.announce);
  EXPECT_EQ(shipped.shutdown.drain, none.shutdown.drain);
  EXPECT_EQ(shipped.workers, none.workers);
  EXPECT_EQ(shipped.start_guard, none.start_guard);
  EXPECT_TRUE(shipped.upstreams.empty() && shipped.models.empty() && shipped.keys.empty());
}

}  // namespace
}  // namespace weir::app
