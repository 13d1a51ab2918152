// Tiers, limits beside them, `unlimited`, shares: which number holds in the end.
#include <gtest/gtest.h>

#include "app/config_support.hpp"

namespace weir::app {
namespace {

using Optional = std::optional<std::uint64_t>;

constexpr const char* hash_a = "\"sha256:00000000000000000000000000000000000000000000000000000000000000aa\"";

proxy::Limits limits_of_upstream(const std::string& settings, const std::string& rest = "") {
  return first_upstream(
             load(with_config("upstreams:\n  - {name: a, provider: volcengine-ark, " + settings + "}\n" + rest)))
      .limits;
}

TEST(ResolvedLimits, ComeFromATierOfTheFile) {
  const proxy::Limits limits = limits_of_upstream("tier: small",
                                                  "tiers: {small: {tpm: 1000, rpm: 10, rpd: 20, tpd: 30, input_tpm: "
                                                  "40, output_tpm: 50, concurrency: 60, window: 10s}}\n");
  EXPECT_EQ(limits.tpm, Optional(1000));
  EXPECT_EQ(limits.rpm, Optional(10));
  EXPECT_EQ(limits.rpd, Optional(20));
  EXPECT_EQ(limits.tpd, Optional(30));
  EXPECT_EQ(limits.input_tpm, Optional(40));
  EXPECT_EQ(limits.output_tpm, Optional(50));
  EXPECT_EQ(limits.concurrency, Optional(60));
  EXPECT_EQ(limits.window, 10s);
}

TEST(ResolvedLimits, ComeFromATierOfTheProvider) {
  const proxy::Limits small = limits_of_upstream("tier: 800K-15K"), large = limits_of_upstream("tier: 5M-30K");
  EXPECT_EQ(small.tpm, Optional(800'000));
  EXPECT_EQ(small.rpm, Optional(15'000));
  EXPECT_EQ(large.tpm, Optional(5'000'000));
  EXPECT_EQ(large.rpm, Optional(30'000));
}

TEST(ResolvedLimits, ATierOfTheFileWinsOverTheProvidersOfThatName) {
  EXPECT_EQ(limits_of_upstream("tier: 5M-30K", "tiers: {5M-30K: {tpm: 7}}\n").tpm, Optional(7));
}

TEST(ResolvedLimits, WordsOfLimitsWinOverThoseOfTheTier) {
  const proxy::Limits limits = limits_of_upstream("tier: 5M-30K, limits: {tpm: 4000000, concurrency: 9}");
  EXPECT_EQ(limits.tpm, Optional(4'000'000));
  EXPECT_EQ(limits.rpm, Optional(30'000));
  EXPECT_EQ(limits.concurrency, Optional(9));
}

TEST(ResolvedLimits, UnlimitedLiftsAWordOfTheTier) {
  const proxy::Limits limits = limits_of_upstream("tier: 5M-30K, limits: {rpm: unlimited}");
  EXPECT_EQ(limits.rpm, std::nullopt);
  EXPECT_EQ(limits.tpm, Optional(5'000'000));
}

TEST(ResolvedLimits, OfBatchCallsAreThoseOfTheProviderUnlessTheAccountSaysOthers) {
  const auto batch_of = [](const std::string& settings) {
    return *first_upstream(
                load(with_config("upstreams: [{name: a, provider: volcengine-ark, tier: 5M-30K, " + settings + "}]\n")))
                .batch;
  };
  const proxy::BatchService plain = batch_of("timeouts: {first_content: 1m, connect: 3s}");
  EXPECT_EQ(plain.limits.tpd, Optional(10'000'000'000));
  EXPECT_EQ(plain.limits.tpm, std::nullopt) << "nothing of the tier";
  EXPECT_EQ(plain.timeouts.first_content, 24h) << "what is said of all calls does not shorten these";
  EXPECT_EQ(plain.timeouts.connect, 3s);
  const proxy::BatchService own = batch_of("batch: {limits: {tpd: 5000, concurrency: 9}, timeouts: {total: 2h}}");
  EXPECT_EQ(own.limits.tpd, Optional(5000));
  EXPECT_EQ(own.limits.concurrency, Optional(9));
  EXPECT_EQ(own.timeouts.total, 2h);
  EXPECT_EQ(own.timeouts.first_byte, 24h);
}

TEST(ResolvedLimits, OfBatchCallsAreAnErrorWhereNothingIsCountedApart) {
  EXPECT_NE(refusal(with_config("upstreams: [{name: a, provider: deepseek, batch: {limits: {tpd: 5}}}]\n"))
                .find("batch: the provider 'deepseek' counts no calls apart"),
            std::string::npos);
}

TEST(ResolvedLimits, AShareIsKeptBesideTheLimit) {
  const Loaded loaded =
      load(with_config("upstreams: [{name: a, provider: volcengine-ark, tier: 5M-30K, share: 0.25}]\n"));
  EXPECT_EQ(first_upstream(loaded).share, 0.25);
  EXPECT_EQ(first_upstream(loaded).limits.tpm, Optional(5'000'000));
}

TEST(ResolvedLimits, AShareThatLeavesLessThanOneIsRefused) {
  EXPECT_EQ(refusal(with_config(
                "upstreams:\n  - {name: a, provider: openai, limits: {rpm: 10, concurrency: 3}, share: 0.25}\n")),
            "/etc/weir/weir.yaml:2:5: the share 0.25 of concurrency: 3 is less than one, so nothing could be sent\n");
  EXPECT_EQ(
      refusal(with_config("upstreams:\n  - {name: a, provider: openai, limits: {concurrency: 4}, share: 0.25}\n")),
      "accepted");
  EXPECT_EQ(refusal(with_config("upstreams:\n  - {name: a, provider: deepseek, share: 0.001}\n")),
            "/etc/weir/weir.yaml:2:5: the share 0.001 of concurrency: 500 of model deepseek-v4-pro is less than one, "
            "so nothing could be sent\n");
}

TEST(ResolvedLimits, OfAModelAreThoseOfTheProviderUnlessTheAccountSaysMore) {
  const Loaded loaded =
      load(with_config("upstreams:\n  - name: d\n    provider: deepseek\n    models:\n      deepseek-v4-pro: {limits: "
                       "{concurrency: 50, rpm: 7}}\n"));
  EXPECT_EQ(profile(first_upstream(loaded), "deepseek-v4-flash").limits.concurrency, Optional(2500));
  EXPECT_EQ(profile(first_upstream(loaded), "deepseek-v4-pro").limits.concurrency, Optional(50));
  EXPECT_EQ(profile(first_upstream(loaded), "deepseek-v4-pro").limits.rpm, Optional(7));
}

TEST(ResolvedLimits, OfAModelMayComeFromATier) {
  const Loaded loaded = load(with_config(
      "upstreams:\n  - name: a\n    provider: volcengine-ark\n    models:\n      deepseek-r1: {tier: 800K-15K}\n"));
  EXPECT_EQ(profile(first_upstream(loaded), "deepseek-r1").limits.tpm, Optional(800'000));
}

TEST(ResolvedLimits, OfAKeyMayNameAProvidersTier) {
  const Loaded loaded = load(with_config(
      std::string(
          "upstreams: [{name: a, provider: openai}]\nkeys:\n  - {name: k, tier: 800K-15K, limits: {rpm: 5}, hash: ") +
      hash_a + "}\n"));
  const proxy::ClientKey& key = loaded.settings->clients.keys.at(0);
  EXPECT_EQ(key.limits.tpm, Optional(800'000));
  EXPECT_EQ(key.limits.rpm, Optional(5));
}

TEST(ResolvedLimits, AnUnknownTierIsNamedWithItsPlaceAndTheNearest) {
  EXPECT_EQ(refusal(with_config("tiers: {small: {rpm: 1}}\nupstreams:\n  - {name: a, provider: openai, tier: smal}\n")),
            "/etc/weir/weir.yaml:3:39: no tier is called 'smal' (did you mean 'small'?)\n");
  EXPECT_EQ(refusal(with_config("upstreams: [{name: a, provider: openai}]\nteams: {t: {tier: 5M-30k}}\n")),
            "/etc/weir/weir.yaml:2:19: no tier is called '5M-30k' (did you mean '5M-30K'?)\n");
}

TEST(ResolvedKeys, CarryWhatTheFileSays) {
  const Loaded loaded = load(with_config(
      std::string(
          "upstreams: [{name: a, provider: openai}, {name: b, provider: deepseek}]\n"
          "teams: {search: {weight: 4}, own: {}}\n"
          "keys:\n  - {name: k, team: search, models: [\"gpt-*\"], upstreams: [a, b], default_upstream: b, weight: 3,\n"
          "     priority: background, hash: ") +
      hash_a + "}\n"));
  const proxy::ClientKey& key = loaded.settings->clients.keys.at(0);
  EXPECT_EQ(key.name, "k");
  EXPECT_EQ(key.team, "search");
  EXPECT_EQ(key.sha256.back(), 0xaa);
  EXPECT_EQ(key.models, std::vector<std::string>{"gpt-*"});
  EXPECT_EQ(key.upstreams, (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(key.default_upstream, "b");
  EXPECT_EQ(key.weight, 3u);
  EXPECT_EQ(loaded.settings->clients.teams.at(0).weight, 4u);
  EXPECT_EQ(loaded.settings->clients.teams.at(1).weight, 0u);
  EXPECT_EQ(key.priority, "background");
}

TEST(ResolvedKeys, UnknownReferencesAreNamedWithTheirPlaceAndTheNearest) {
  EXPECT_EQ(
      refusal(with_config(
          std::string(
              "upstreams: [{name: ark-1, provider: openai}]\nteams: {search: {}}\nkeys:\n  - name: k\n    hash: ") +
          hash_a + "\n    team: serach\n    upstreams: [ark-2]\n    default_upstream: openai\n")),
      "/etc/weir/weir.yaml:6:11: no team is called 'serach' (did you mean 'search'?)\n"
      "/etc/weir/weir.yaml:7:17: no upstream is called 'ark-2' (did you mean 'ark-1'?)\n"
      "/etc/weir/weir.yaml:8:23: no upstream is called 'openai' (known: ark-1)\n");
}

TEST(ResolvedTimeouts, TheAccountWinsOverTheFileAndTheFileOverTheProvider) {
  World world = with_config(
      "upstreams:\n  - {name: a, provider: p.yaml, base_url: \"http://h\", timeouts: {first_byte: 1s}}\n  - {name: b, "
      "provider: openai}\n"
      "timeouts: {first_byte: 2s, first_content: 3s}\n");
  world.files["/etc/weir/p.yaml"] =
      "name: p\nfamilies: {chat: /v1}\ntimeouts: {first_byte: 4s, first_content: 5s, total: 6s}\n";
  const Loaded loaded = load(world);
  const proxy::UpstreamTimeouts& a = loaded.settings->upstreams.at(0).timeouts;
  EXPECT_EQ(a.first_byte, 1s);
  EXPECT_EQ(a.first_content, 3s);
  EXPECT_EQ(a.total, 6s);
  EXPECT_EQ(a.connect, 5s);
  EXPECT_EQ(loaded.settings->upstreams.at(1).timeouts.first_byte, 2s);
}

TEST(ResolvedPolicies, CarryWhatTheFileSays) {
  const Loaded loaded = load(
      with_config("upstreams: [{name: a, provider: openai}]\nclients: {hosts: [a.example.com], origins: "
                  "[\"https://a.example.com\"]}\n"
                  "limits: {body_bytes_max: 1MiB, header_bytes_max: 8KiB, header_count_max: 16, json_depth_max: 32}\n"
                  "timeouts: {client_header: 1s, client_body: 2s, client_idle: 3s}\nheartbeat: {first_after: 4s, "
                  "stream_every: 5s, json_after: 6s, json_every: 7s}\n"));
  const proxy::Settings& settings = *loaded.settings;
  EXPECT_EQ(settings.clients.hosts, std::vector<std::string>{"a.example.com"});
  EXPECT_EQ(settings.clients.origins, std::vector<std::string>{"https://a.example.com"});
  EXPECT_EQ(settings.limits.body_bytes_max, std::size_t{1} << 20);
  EXPECT_EQ(settings.limits.header_bytes_max, std::size_t{8} << 10);
  EXPECT_EQ(settings.limits.header_count_max, 16u);
  EXPECT_EQ(settings.limits.json_depth_max, 32u);
  EXPECT_EQ(settings.client_timeouts.header, 1s);
  EXPECT_EQ(settings.client_timeouts.body, 2s);
  EXPECT_EQ(settings.client_timeouts.idle, 3s);
  EXPECT_EQ(settings.heartbeat.first_after, 4s);
  EXPECT_EQ(settings.heartbeat.stream_every, 5s);
  EXPECT_EQ(settings.heartbeat.json_after, 6s);
  EXPECT_EQ(settings.heartbeat.json_every, 7s);
}

}  // namespace
}  // namespace weir::app
