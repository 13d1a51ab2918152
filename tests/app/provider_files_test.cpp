// The shipped provider files: that they are well-formed, and where each API family lives at each provider.
#include <gtest/gtest.h>

#include <filesystem>
#include <set>

#include "app/config_support.hpp"
#include "app/embedded_files.hpp"
#include "app/shipped_providers.hpp"
#include "protocol/api.hpp"

namespace weir::app {
namespace {

constexpr const char* shipped_names[] = {"anthropic", "azure-openai", "deepseek", "fireworks",      "generic",
                                         "openai",    "openrouter",   "vllm",     "volcengine-ark", "weir"};

TEST(ProviderFiles, AllParseAndAreCalledAsTheirFile) {
  std::vector<std::string> names;
  for (const auto name : embedded_provider_names()) {
    Problems problems;
    const ProviderProfile provider =
        read_provider(embedded_provider(name), std::string(name) + ".yaml", World{}.environment(), problems);
    EXPECT_EQ(to_string(problems), "");
    EXPECT_EQ(provider.name, name);
    EXPECT_FALSE(provider.title.empty()) << name;
    EXPECT_FALSE(provider.models.empty()) << name;
    EXPECT_FALSE(provider.errors.empty()) << name;
    names.emplace_back(name);
  }
  EXPECT_EQ(names, std::vector<std::string>(std::begin(shipped_names), std::end(shipped_names)));
}

TEST(ProviderFiles, InTheBinaryAreThoseOfTheSourceTree) {
  std::set<std::string> on_disk;
  for (const auto& entry : std::filesystem::directory_iterator(WEIR_SOURCE_DIR "/config/providers")) {
    const std::string name = entry.path().stem().string();
    on_disk.insert(name);
    EXPECT_EQ(process_environment().read_file(entry.path().string()), std::string(embedded_provider(name))) << name;
  }
  EXPECT_EQ(on_disk, std::set<std::string>(std::begin(shipped_names), std::end(shipped_names)));
  EXPECT_EQ(embedded_provider("nobody"), "");
}

TEST(ProviderFiles, DeepSeeksPeakHoursAreThoseOfWorkingDays) {
  const auto& peak = shipped_provider("deepseek")->peak;
  ASSERT_TRUE(peak);
  EXPECT_EQ(peak->factor, 2);
  EXPECT_EQ(peak->days, (std::array<bool, 7>{false, true, true, true, true, true, false}));
  EXPECT_EQ(peak->hours, (std::vector<std::pair<int, int>>{{60, 240}, {360, 600}}));
}

TEST(ProviderFiles, PeakHoursThatMakeNoSenseAreRefused) {
  Problems problems;
  read_provider("name: x\nauth: bearer\npeak: {factor: 2, days: mon-xyz, hours: [\"04:00-01:00\"]}\n", "x.yaml",
                World{}.environment(), problems);
  const std::string text = to_string(problems);
  EXPECT_NE(text.find("peak.days"), std::string::npos) << text;
  EXPECT_NE(text.find("peak.hours"), std::string::npos) << text;
}

// Every family as "chat completions embeddings responses messages models other"; "-" is not served, "/" is the root.
std::string families(const std::array<proxy::FamilyPath, 7>& paths) {
  std::string text;
  for (const auto& path : paths)
    text += (text.empty() ? "" : " ") + std::string(!path.served ? "-" : path.prefix.empty() ? "/" : path.prefix);
  return text;
}

TEST(ProviderFiles, EachFamilyHasItsPlaceAtEachProvider) {
  const std::pair<const char*, const char*> cases[] = {
      {"anthropic", "- - - - /v1 /v1 /v1"},
      {"azure-openai", "/openai/v1 /openai/v1 /openai/v1 /openai/v1 - /openai/v1 /openai/v1"},
      {"deepseek", "/ /beta - / /anthropic/v1 / /"},
      {"fireworks",
       "/inference/v1 /inference/v1 /inference/v1 /inference/v1 /inference/v1 /inference/v1 /inference/v1"},
      {"generic", "/v1 /v1 /v1 /v1 /v1 /v1 /v1"},
      {"openai", "/v1 /v1 /v1 /v1 - /v1 /v1"},
      {"openrouter", "/api/v1 /api/v1 /api/v1 /api/v1 /api/v1 /api/v1 /api/v1"},
      {"volcengine-ark", "/api/v3 - /api/v3 /api/v3 /api/coding/v1 /api/v3 /api/v3"},
      {"weir", "/v1 /v1 /v1 /v1 /v1 /v1 /v1"},
  };
  for (const auto& [name, expected] : cases) EXPECT_EQ(families(shipped_provider(name)->families), expected) << name;
}

struct BaseUrlCase {
  const char* provider;
  const char* base_url;
  const char* families;
};

// Whatever form of the base URL a page or an SDK shows, the requests arrive where they belong.
TEST(ProviderFiles, FamiliesLiveBelowTheBaseUrlOfTheAccount) {
  const BaseUrlCase cases[] = {
      {"deepseek", "https://api.deepseek.com", "/ /beta - / /anthropic/v1 / /"},
      {"deepseek", "https://api.deepseek.com/", "/ /beta - / /anthropic/v1 / /"},
      {"deepseek", "https://api.deepseek.com/v1", "/v1 /beta - /v1 /anthropic/v1 /v1 /v1"},
      {"deepseek", "https://api.deepseek.com/v1/", "/v1 /beta - /v1 /anthropic/v1 /v1 /v1"},
      {"deepseek", "https://api.deepseek.com/beta", "/beta /beta - /beta /anthropic/v1 /beta /beta"},
      {"deepseek", "https://api.deepseek.com/anthropic", "/ /beta - / /anthropic/v1 / /"},
      {"deepseek", "https://gateway/deepseek",
       "/deepseek /deepseek/beta - /deepseek /deepseek/anthropic/v1 /deepseek /deepseek"},
      {"deepseek", "https://gateway/deepseek/v1",
       "/deepseek/v1 /deepseek/beta - /deepseek/v1 /deepseek/anthropic/v1 /deepseek/v1 /deepseek/v1"},
      {"volcengine-ark", "https://ark.cn-beijing.volces.com/api/v3",
       "/api/v3 - /api/v3 /api/v3 /api/coding/v1 /api/v3 /api/v3"},
      {"volcengine-ark", "https://ark.cn-beijing.volces.com/api/v3/",
       "/api/v3 - /api/v3 /api/v3 /api/coding/v1 /api/v3 /api/v3"},
      {"volcengine-ark", "https://ark.cn-beijing.volces.com",
       "/api/v3 - /api/v3 /api/v3 /api/coding/v1 /api/v3 /api/v3"},
      {"volcengine-ark", "http://127.0.0.1:9/ark/api/v3",
       "/ark/api/v3 - /ark/api/v3 /ark/api/v3 /ark/api/coding/v1 /ark/api/v3 /ark/api/v3"},
      {"openai", "https://api.openai.com/v1", "/v1 /v1 /v1 /v1 - /v1 /v1"},
      {"openai", "http://[::1]:8000/openai/v1", "/openai/v1 /openai/v1 /openai/v1 /openai/v1 - /openai/v1 /openai/v1"},
      {"fireworks", "https://api.fireworks.ai/inference/v1",
       "/inference/v1 /inference/v1 /inference/v1 /inference/v1 /inference/v1 /inference/v1 /inference/v1"},
      {"openrouter", "https://openrouter.ai/api/v1", "/api/v1 /api/v1 /api/v1 /api/v1 /api/v1 /api/v1 /api/v1"},
      {"azure-openai", "https://r.openai.azure.com/openai/v1/",
       "/openai/v1 /openai/v1 /openai/v1 /openai/v1 - /openai/v1 /openai/v1"},
      {"azure-openai", "https://r.openai.azure.com",
       "/openai/v1 /openai/v1 /openai/v1 /openai/v1 - /openai/v1 /openai/v1"},
      {"anthropic", "https://api.anthropic.com/v1", "- - - - /v1 /v1 /v1"},
      {"generic", "http://127.0.0.1:11434/v1", "/v1 /v1 /v1 /v1 /v1 /v1 /v1"},
      {"generic", "http://127.0.0.1:11434", "/v1 /v1 /v1 /v1 /v1 /v1 /v1"},
      {"generic", "http://gateway/llm", "/llm /llm /llm /llm /llm /llm /llm"},
  };
  for (const auto& [provider, base_url, expected] : cases) {
    const Loaded loaded = load(with_config(std::string("upstreams: [{name: a, provider: ") + provider +
                                           ", base_url: \"" + base_url + "\"}]\n"));
    EXPECT_EQ(families(first_upstream(loaded).families), expected) << provider << " at " << base_url;
  }
}

TEST(ProviderFiles, BaseUrlsBecomeTheAddressAndTheHostHeader) {
  const std::pair<const char*, const char*> cases[] = {
      {"http://127.0.0.1:11434/v1", "plain 127.0.0.1 11434 127.0.0.1:11434"},
      {"http://[::1]:8000/v1", "plain ::1 8000 [::1]:8000"},
      {"https://h", "tls h 443 h"},
      {"https://h:8443/v1", "tls h 8443 h:8443"}};
  for (const auto& [url, expected] : cases) {
    const Loaded loaded = load({{{"WEIR_UPSTREAM", url}}, {}});
    const proxy::Upstream& upstream = first_upstream(loaded);
    EXPECT_EQ(std::string(upstream.tls ? "tls " : "plain ") + upstream.host + " " + std::to_string(upstream.port) +
                  " " + upstream.authority,
              expected);
  }
}

TEST(ProviderFiles, SayHowTheyWantToBeCalled) {
  const std::pair<const char*, proxy::AuthStyle> cases[] = {
      {"anthropic", proxy::AuthStyle::x_api_key},   {"azure-openai", proxy::AuthStyle::api_key_header},
      {"deepseek", proxy::AuthStyle::bearer},       {"fireworks", proxy::AuthStyle::bearer},
      {"generic", proxy::AuthStyle::bearer},        {"openai", proxy::AuthStyle::bearer},
      {"openrouter", proxy::AuthStyle::bearer},     {"vllm", proxy::AuthStyle::bearer},
      {"volcengine-ark", proxy::AuthStyle::bearer}, {"weir", proxy::AuthStyle::bearer}};
  for (const auto& [name, auth] : cases) EXPECT_EQ(shipped_provider(name)->auth, auth) << name;
  EXPECT_EQ(shipped_provider("anthropic")->headers,
            (std::vector<std::pair<std::string, std::string>>{{"anthropic-version", "2023-06-01"}}));
  for (const auto& provider : shipped_providers()) EXPECT_EQ(provider->queue_headers, provider->name == "weir");
  EXPECT_FALSE(shipped_provider("anthropic")->asks_usage);
  for (const char* name :
       {"deepseek", "fireworks", "generic", "openai", "openrouter", "volcengine-ark", "vllm", "weir"})
    EXPECT_TRUE(shipped_provider(name)->asks_usage) << name;
}

TEST(ProviderFiles, AreFoundByNameAndByEachOfTheirHosts) {
  std::size_t hosts = 0;
  for (const auto& provider : shipped_providers()) {
    EXPECT_EQ(shipped_provider(provider->name), provider);
    for (std::string host : provider->hosts) {
      if (const auto star = host.find('*'); star != std::string::npos) host.replace(star, 1, "some");
      EXPECT_EQ(provider_of_host(host), provider) << host;
      ++hosts;
    }
  }
  EXPECT_GT(hosts, 5u);
  EXPECT_EQ(shipped_provider("no-such-provider"), nullptr);
  EXPECT_EQ(provider_of_host("127.0.0.1"), nullptr);
}

TEST(ProviderFiles, SayWhichOfThemTellRunningUsage) {
  for (const auto& provider : shipped_providers()) {
    const char* const option = provider->name == "volcengine-ark" ? "chunk_include_usage"
                               : provider->name == "vllm"         ? "continuous_usage_stats"
                                                                  : "";
    EXPECT_EQ(provider->running_usage, option) << provider->name;
  }
}

TEST(ProviderFiles, SayHowTokensAreCharged) {
  const std::pair<const char*, ChargeRule> cases[] = {{"anthropic", ChargeRule::input_then_output},
                                                      {"azure-openai", ChargeRule::estimate_plus_max},
                                                      {"deepseek", ChargeRule::none},
                                                      {"fireworks", ChargeRule::input_then_output},
                                                      {"generic", ChargeRule::none},
                                                      {"openai", ChargeRule::max_or_estimate},
                                                      {"openrouter", ChargeRule::actual},
                                                      {"volcengine-ark", ChargeRule::input_then_output},
                                                      {"weir", ChargeRule::none}};
  for (const auto& [name, rule] : cases) EXPECT_EQ(shipped_provider(name)->charge.rule, rule) << name;
  EXPECT_TRUE(shipped_provider("anthropic")->charge.cached_input_free);
  EXPECT_TRUE(shipped_provider("fireworks")->charge.cached_input_free);
  EXPECT_FALSE(shipped_provider("volcengine-ark")->charge.cached_input_free);
}

TEST(ProviderFiles, TokensCountWhereALimitOfThemMayBeLearned) {
  const auto rule_at = [](const std::string& provider) {
    return first_upstream(
               load(with_config("upstreams: [{name: a, provider: " + provider + ", base_url: \"http://h/v1\"}]\n")))
        .charge.rule;
  };
  EXPECT_EQ(rule_at("generic"), ChargeRule::input_then_output);
  EXPECT_EQ(rule_at("vllm"), ChargeRule::none);
  EXPECT_EQ(rule_at("deepseek"), ChargeRule::none);
}

std::optional<Cause> cause_of(const char* provider, int status, std::string_view code) {
  for (const ErrorRule& rule : shipped_provider(provider)->errors) {
    if (rule.status && *rule.status != status) continue;
    if (!rule.code.empty() && !proxy::matches_pattern(rule.code, code)) continue;
    if (!rule.type.empty() || !rule.words.empty() || !rule.source.empty()) continue;
    return rule.cause;
  }
  return std::nullopt;
}

TEST(ProviderFiles, ArkErrorCodesMeanWhatItsPagesSay) {
  struct Code {
    int status;
    const char* code;
    Cause cause;
  };
  const Code cases[] = {{429, "RateLimitExceeded.EndpointRPMExceeded", Cause::minute_budget},
                        {429, "RateLimitExceeded.EndpointTPMExceeded", Cause::minute_budget},
                        {429, "ModelAccountRpmRateLimitExceeded", Cause::minute_budget},
                        {429, "ModelAccountTpmRateLimitExceeded", Cause::minute_budget},
                        {429, "ModelAccountIpmRateLimitExceeded", Cause::minute_budget},
                        {429, "APIAccountRpmRateLimitExceeded", Cause::minute_budget},
                        {429, "AccountRateLimitExceeded", Cause::minute_budget},
                        {429, "ServerOverloaded", Cause::overload},
                        {429, "RequestBurstTooFast", Cause::ramp},
                        {429, "InflightBatchsizeExceeded", Cause::concurrency},
                        {429, "QuotaExceeded", Cause::quota},
                        {429, "SetLimitExceeded", Cause::quota},
                        {403, "AccountOverdueError", Cause::quota},
                        {403, "AccessDenied", Cause::caller},
                        {403, "OperationDenied.ServiceNotOpen", Cause::caller},
                        {404, "InvalidEndpointOrModel.NotFound", Cause::caller},
                        {404, "ModelNotOpen", Cause::caller},
                        {400, "MissingParameter", Cause::caller},
                        {400, "InputTextSensitiveContentDetected", Cause::caller},
                        {401, "AuthenticationError", Cause::caller},
                        {500, "InternalServiceError", Cause::fault}};
  for (const auto& [status, code, cause] : cases) EXPECT_EQ(cause_of("volcengine-ark", status, code), cause) << code;
}

TEST(ProviderFiles, ArkNamesWhatLimitsDeepseekR1) {
  const ProviderModel* model = shipped_provider("volcengine-ark")->find_model("deepseek-r1");
  ASSERT_NE(model, nullptr);
  EXPECT_EQ(model->profile.context_tokens, 128'000u);
  EXPECT_EQ(model->profile.input_tokens_max, 96'000u);
  EXPECT_EQ(model->profile.thinking_tokens_max, 32'000u);
  EXPECT_EQ(model->profile.output_tokens_max, 32'000u);
  EXPECT_EQ(model->profile.output_tokens_default, 4'000u);
  ASSERT_EQ(model->profile.prices.size(), 1u);
  EXPECT_EQ(model->profile.prices[0].currency, "CNY");
  EXPECT_EQ(model->profile.prices[0].input, 4);
  EXPECT_EQ(model->profile.prices[0].cached_input, 0.8);
  EXPECT_EQ(model->profile.prices[0].output, 16);
  ASSERT_EQ(model->profile.batch_prices.size(), 1u);
  EXPECT_EQ(model->profile.batch_prices[0].output, 8);
}

TEST(ProviderFiles, ArkCountsItsBatchCallsApartByTheDay) {
  const auto& batch = shipped_provider("volcengine-ark")->batch;
  ASSERT_TRUE(batch.has_value());
  EXPECT_EQ(batch->path, "/batch");
  EXPECT_EQ(batch->limits.tpd, 10'000'000'000u);
  EXPECT_EQ(batch->limits.tpm, std::nullopt);
  EXPECT_EQ(batch->timeouts.first_content, 24h);
  EXPECT_EQ(shipped_provider("deepseek")->batch, std::nullopt);
}

TEST(ProviderFiles, PricesHaveTheDatesTheyHold) {
  const ProviderModel* model = shipped_provider("deepseek")->find_model("deepseek-chat");
  ASSERT_NE(model, nullptr);
  ASSERT_EQ(model->profile.prices.size(), 2u);
  EXPECT_EQ(model->profile.prices[0].until, "2025-02-09");
  EXPECT_EQ(model->profile.prices[1].since, "2025-02-09");
  EXPECT_EQ(model->profile.prices[1].output, 8);
}

}  // namespace
}  // namespace weir::app
