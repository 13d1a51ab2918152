// What `weir check` and the start print: everything resolved, and no secret anywhere in it.
#include "app/check.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "app/config_support.hpp"
#include "app/key_maker.hpp"
#include "app/upstream_in_words.hpp"

namespace weir::app {
namespace {

TEST(Masked, ShowsAtMostFourCharactersOfALongSecret) {
  EXPECT_EQ(masked("sk-0123456789abcd"), "****abcd");
  EXPECT_EQ(masked("elevenchars"), "****");
  EXPECT_EQ(masked("short"), "****");
  EXPECT_EQ(masked(""), "****");
}

Loaded full() {
  World world = with_config(
      "operator: {token: \"${TOKEN}\"}\ntiers: {small: {rpm: 1000, window: 10s}}\nteams: {search: {tier: small}}\n"
      "keys:\n  - {name: alice, hash: \"" +
          hash_key("sk-weir-secret-of-alice") +
          "\", team: search, tier: 5M-30K, models: [\"deepseek-*\"], priority: normal}\n"
          "upstreams:\n"
          "  - {name: ark-1, provider: volcengine-ark, api_key: \"${file:/run/key}\", tier: 800K-15K, share: 0.5, "
          "headers: {x-team: header-secret-42}}\n"
          "  - {name: local, base_url: \"http://127.0.0.1:11434/v1\", query: \"token=query-secret-42\"}\n"
          "models:\n  - {name: r1, upstreams: [{name: ark-1, weight: 2}, local], upstream_model: deepseek-r1}\n",
      {{"TOKEN", "operator-secret-0123"}});
  world.files["/run/key"] = "sk-provider-secret-4567\n";
  return load(world);
}

TEST(Check, PrintsWhatItResolvesTo) {
  const std::string text = describe(full());
  for (const char* line : {"listen: [localhost:8080]\n",
                           "operator: {listen: [127.0.0.1:8081], token: ****0123}\n",
                           "clients: {mode: keys}",
                           "  - name: ark-1\n",
                           "    provider: volcengine-ark\n",
                           "    base_url: https://ark.cn-beijing.volces.com\n",
                           "    api_key: ****4567\n",
                           "    auth: bearer\n",
                           "    paths: chat /api/v3, completions not served, ",
                           "    limits: {rpm: 7500, tpm: 400000}   # this instance's share of 0.5\n",
                           "first_byte: 10m, first_content: 10m, content_gap: 2m, byte_gap: 2m, total: 30m}\n",
                           "  - name: local\n",
                           "    provider: generic\n",
                           "    base_url: http://127.0.0.1:11434\n",
                           "    api_key: none (the caller's own goes upstream)\n",
                           "    limits: unlimited\n",
                           "  r1: ark-1 as deepseek-r1 (weight 2), local as deepseek-r1\n",
                           "  - name: alice\n",
                           "    limits: {rpm: 30000, tpm: 5000000}\n",
                           "    team: search\n",
                           "    models: [deepseek-*]\n",
                           "    priority: normal\n",
                           "queue: {wait_max: 10m, requests_max: 10000, bytes_max: ",
                           "shutdown: {announce: 0s, drain: 25s}\n"}) {
    EXPECT_NE(text.find(line), std::string::npos) << line << "\nin\n" << text;
  }
}

TEST(Check, PrintsWhatHoldsForWaitingAndTheProcess) {
  const World world = with_config(
      "clients: {hosts: [weir.example.com], origins: [\"https://app.example.com\"]}\n"
      "teams: {search: {limits: {tpm: 1000}, weight: 3}}\n"
      "keys:\n  - {name: bob, hash: \"" +
      hash_key("sk-weir-secret-of-bob") +
      "\", upstreams: [ark-1], default_upstream: ark-1, heartbeat: false}\n"
      "upstreams:\n"
      "  - name: ark-1\n    provider: volcengine-ark\n    api_key: sk-0123456789abcd\n    reserve: cap\n    share: "
      "0.5\n"
      "    limits: {tpm: 1000, burst: 100, window: 30s, guard: 80ms, pacing: 1s, tpd: 9000, day_reset: 8h}\n"
      "    query: \"api-version=7&bare-secret\"\n    headers: {x-team: search}\n"
      "    models: {ep-1: {base_model: deepseek-r1, limits: {rpm: 10}, parameters: {logprobs: drop}}}\n"
      "models:\n  - {name: r1, upstreams: [{name: ark-1, order: 2}], listed: false}\n"
      "heartbeat: {stream_every: 7s}\ntimeouts: {client_idle: 9s}\nretry: {after_send: off, tries_max: 2, "
      "kept_bodies_max: 1KiB}\n"
      "breaker: {enabled: false}\nlearn: {start: 5}\nlog: {level: debug}\nstate_file: /var/lib/weir/state\n"
      "start_guard: 60s\nqueue: {oversize: refuse}\n");
  const std::string text = describe(load(world));
  for (const char* line :
       {"clients: {mode: keys, hosts: [weir.example.com], origins: [https://app.example.com]}   # ",
        "    limits: {tpm: 500, tpd: 4500, window: 30s, guard: 80ms, pacing: 1s, burst: 50, day_reset: 8h}   # this ",
        "    reserve: cap\n",
        "    charge: {rule: ",
        "    query: [api-version, ****]\n",
        "    headers: [x-team]\n",
        "    batch: {path: /batch, limits: ",
        "      ep-1: {base_model: deepseek-r1, limits: {rpm: 5",
        "logprobs: drop}",
        "  r1: ark-1 (order 2)   # not listed\n",
        "  search: {limits: {tpm: 1000}, weight: 3}\n",
        "    upstreams: [ark-1]\n",
        "    default_upstream: ark-1\n",
        "    heartbeat: false\n",
        "heartbeat: {first_after: 15s, stream_every: 7s, json_after: 4m, json_every: 15s}\n",
        "timeouts: {client_header: 10s, client_body: 1m, client_idle: 9s}",
        "retry: {enabled: true, after_send: off, tries_max: 2, refusals_max: 8, pause_min: 500ms, pause_max: 30s, "
        "kept_bodies_max: 1KiB}\n",
        "breaker: {enabled: false, wait_max: 30s}\n",
        "learn: {enabled: true, keep: 10m, start: 5}\n",
        "log: {format: auto, level: debug, stream: stderr}\n",
        "state_file: /var/lib/weir/state\n",
        "start_guard: 1m\n",
        ", oversize: refuse}\n",
        "header_count_max: 128, json_depth_max: 256, connections_max: 20000}\n"})
    EXPECT_NE(text.find(line), std::string::npos) << line << "\nin\n" << text;
  EXPECT_EQ(text.find("bare-secret"), std::string::npos);
}

// Whoever adds a section of settings adds it here too, or knows why it need not be seen.
TEST(Check, PrintsEverySection) {
  const std::string text = "\n" + describe(full());
  std::set<std::string> sections;
  for (const std::string& setting : known_settings())
    sections.insert(setting.substr(0, std::min(setting.find('.'), setting.find('['))));
  sections.erase("version");
  sections.erase("tiers");  // shown where they are used
  for (const std::string& section : sections)
    EXPECT_NE(text.find("\n" + section + ":"), std::string::npos) << section << "\nin\n" << text;
}

TEST(Check, ShowsNoSecretAnywhere) {
  const Loaded loaded = full();
  for (const std::string& text : {describe(loaded), start_summary(loaded)}) {
    for (const char* secret :
         {"operator-secret", "sk-provider", "provider-secret", "sk-weir", "header-secret", "query-secret"}) {
      EXPECT_EQ(text.find(secret), std::string::npos) << secret << "\nin\n" << text;
    }
    EXPECT_EQ(text.find(hash_key("sk-weir-secret-of-alice")), std::string::npos) << text;
  }
}

TEST(Check, ShowsShortSecretsNotAtAll) {
  const std::string text =
      describe(load({{{"OPENAI_API_KEY", "shortkey"}, {"WEIR_OPERATOR_TOKEN", "shorttoken"}}, {}}));
  EXPECT_EQ(text.find("tkey"), std::string::npos);
  EXPECT_EQ(text.find("oken:  "), std::string::npos);
  EXPECT_NE(text.find("api_key: ****\n"), std::string::npos);
  EXPECT_NE(text.find("token: ****}"), std::string::npos);
}

TEST(Check, PrintsWarnings) {
  EXPECT_NE(describe(load({{{"WEIR_UPSTREAM", "http://10.0.0.1"}, {"WEIR_UPSTREAM_API_KEY", "k"}}, {}}))
                .find("# warning: upstream default: its key travels over plain http\n"),
            std::string::npos);
}

TEST(StartSummary, NamesTheModeAndTheUpstreams) {
  const std::string text =
      start_summary(load({{{"DEEPSEEK_API_KEY", "sk-0123456789abcd"}, {"OPENAI_API_KEY", "sk-0123456789efgh"}}, {}}));
  EXPECT_TRUE(text.starts_with(
      "clients: open (a provider key is configured and weir listens on loopback only; no key is needed)\n"))
      << text;
  EXPECT_NE(text.find("\nupstream deepseek: https://api.deepseek.com, provider deepseek, key ****abcd, limits "
                      "unlimited, models [deepseek-"),
            std::string::npos)
      << text;
  EXPECT_NE(text.find("\nupstream openai: https://api.openai.com, provider openai, key ****efgh, "), std::string::npos)
      << text;
}

}  // namespace
}  // namespace weir::app
