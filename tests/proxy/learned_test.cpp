// What an upstream says of its limits, and what it turns away, is learned, kept to, and shown to operators.
#include <gtest/gtest.h>

#include <thread>

#include "proxy/proxy_support.hpp"
#include "simulator/simulator.hpp"

namespace weir::test {
namespace {

const std::string hello = R"({"model":"m","messages":[{"role":"user","content":"Hello"}]})";

proxy::Settings settings_at(std::uint16_t port) {
  proxy::Settings made = settings_for({upstream_at(port)});
  made.learn.enabled = true;
  made.retry.enabled = true;
  made.retry.pause_min = 2ms;
  made.retry.pause_max = 20ms;
  made.retry.refusals_max = 100;
  made.upstreams[0].limit_headers = proxy::LimitHeaders::all;
  return made;
}

proxy::ErrorRule rule(proxy::Cause cause, std::string words, std::string scope = "account", std::string meter = "") {
  proxy::ErrorRule made;
  made.status = 429;
  made.words = std::move(words);
  made.cause = cause;
  made.scope = std::move(scope);
  made.meter = std::move(meter);
  return made;
}

std::string refused_saying(std::string_view message, std::string_view headers = {}) {
  return answer_with("429 Too Many Requests\r\nContent-Type: application/json\r\n" + std::string(headers),
                     R"({"error":{"message":")" + std::string(message) + "\"}}");
}

HttpMessage say_hello(TestProxy& proxy) {
  RawClient client(proxy.port());
  client.send(post("/v1/chat/completions", hello));
  return client.read_response();
}

std::string seen(TestProxy& proxy, std::string_view path) {
  RawClient client(proxy.operators_port());
  client.send(get(path));
  return client.read_response().body;
}
bool says(const std::string& text, std::string_view part) {
  return text.find(part) != std::string::npos;
}

TEST(LearnedHeaders, TightenALimitThatIsConfiguredTooLarge) {
  ScriptedUpstream upstream;
  upstream.expect_request().send(
      json_answer(R"({"id":"x"})",
                  "x-ratelimit-limit-tokens: 5000\r\nx-ratelimit-remaining-tokens: 4990\r\nx-ratelimit-reset-tokens: "
                  "120ms\r\nx-ratelimit-limit-requests: 90000\r\n"));
  proxy::Settings settings = settings_at(upstream.port());
  settings.upstreams[0].limits.tpm = 100'000;
  settings.upstreams[0].limits.rpm = 500;
  settings.upstreams[0].charge.rule = proxy::ChargeRule::input_then_output;
  TestProxy proxy(settings);
  EXPECT_EQ(say_hello(proxy).status(), 200);
  const std::string upstreams = seen(proxy, "/weir/upstreams");
  EXPECT_TRUE(
      says(upstreams, R"("learned":[{"scope":"model","name":"up/m","meter":"tpm","limit":5000,"source":"header")"))
      << upstreams;
  EXPECT_FALSE(says(upstreams, R"("meter":"rpm")")) << "90,000 loosen nothing";
  EXPECT_TRUE(
      says(seen(proxy, "/metrics"), R"(weir_upstream_learned_limit{upstream="up",meter="tpm",source="header"} 5000)"));
  EXPECT_TRUE(says(seen(proxy, "/weir/budgets"), R"("name":"up/m","window_ms":60000,"meters":{"tpm":{"limit":5000,)"));
}

TEST(LearnedHeaders, OfTwoBucketsOfAMeterTheTighterHolds) {
  for (const auto& [all, project] : {std::pair("9000", "5000"), std::pair("5000", "9000"), std::pair("5000", "0")}) {
    ScriptedUpstream upstream;
    upstream.expect_request().send(json_answer(
        R"({"id":"x"})",
        std::string("x-ratelimit-limit-project-tokens: ") + project + "\r\nx-ratelimit-limit-tokens: " + all + "\r\n"));
    TestProxy proxy(settings_at(upstream.port()));
    EXPECT_EQ(say_hello(proxy).status(), 200);
    EXPECT_TRUE(says(seen(proxy, "/weir/upstreams"), R"("meter":"tpm","limit":5000,)"));
  }
}

TEST(LearnedHeaders, OfADayAreNotTakenForThoseOfAMinute) {
  ScriptedUpstream upstream;
  upstream.expect_request().send(
      json_answer(R"({"id":"x"})",
                  "x-ratelimit-limit-requests: 200\r\nx-ratelimit-remaining-requests: 100\r\n"
                  "x-ratelimit-reset-requests: 12h0m0s\r\n"));
  TestProxy proxy(settings_at(upstream.port()));
  EXPECT_EQ(say_hello(proxy).status(), 200);
  EXPECT_FALSE(says(seen(proxy, "/weir/upstreams"), "learned"));
}

// Together and Fireworks: what a second lets through, in the window of the account.
TEST(LearnedHeaders, OfASecondTightenTheWindow) {
  ScriptedUpstream upstream;
  upstream.expect_request().send(
      json_answer(R"({"id":"x"})", "x-ratelimit-limit: 2\r\nx-ratelimit-remaining: 0\r\nx-tokenlimit-limit: 3000\r\n"));
  proxy::Settings settings = settings_at(upstream.port());
  settings.upstreams[0].limits.rpm = 500;
  TestProxy proxy(settings);
  EXPECT_EQ(say_hello(proxy).status(), 200);
  const std::string upstreams = seen(proxy, "/weir/upstreams");
  EXPECT_TRUE(says(upstreams, R"("name":"up/m","meter":"rpm","limit":120,"source":"header")")) << upstreams;
  EXPECT_TRUE(says(upstreams, R"("name":"up/m","meter":"tpm","limit":180000,"source":"header")")) << upstreams;
}

TEST(LearnedHeaders, OfASecondApartForInputAndOutput) {
  ScriptedUpstream upstream;
  upstream.expect_request().send(json_answer(R"({"id":"x"})",
                                             "x-ratelimit-limit-tokens-prompt: 60000\r\n"
                                             "x-ratelimit-limit-tokens-cache-adjusted-prompt: 15000\r\n"
                                             "x-ratelimit-limit-tokens-generated: 600\r\n"));
  proxy::Settings settings = settings_at(upstream.port());
  settings.upstreams[0].charge = {proxy::ChargeRule::input_then_output, true};
  TestProxy proxy(settings);
  EXPECT_EQ(say_hello(proxy).status(), 200);
  const std::string upstreams = seen(proxy, "/weir/upstreams");
  EXPECT_TRUE(says(upstreams, R"("meter":"input_tpm","limit":900000,"source":"header")")) << upstreams;
  EXPECT_TRUE(says(upstreams, R"("meter":"output_tpm","limit":36000,"source":"header")")) << upstreams;
}

TEST(LearnedHeaders, OfASecondHoldCallsBack) {
  ScriptedUpstream upstream;
  const std::string said = json_answer(R"({"id":"x"})", "x-ratelimit-limit: 1\r\nx-tokenlimit-limit: 100000\r\n");
  upstream.expect_request().send(said).expect_request().send(said);
  proxy::Settings settings = settings_at(upstream.port());
  settings.upstreams[0].limits.window = 1s;
  TestProxy proxy(settings);
  const auto began = std::chrono::steady_clock::now();
  EXPECT_EQ(say_hello(proxy).status(), 200);
  EXPECT_EQ(say_hello(proxy).status(), 200);
  EXPECT_GE(std::chrono::steady_clock::now() - began, 1s);
}

TEST(LearnedHeaders, ThatMakeNoSenseAreNot) {
  ScriptedUpstream upstream;
  upstream.expect_request().send(json_answer(R"({"id":"x"})",
                                             "x-tokenlimit-limit: -1\r\nx-ratelimit-limit: 1e9\r\n"
                                             "x-ratelimit-limit-tokens-prompt: 0\r\n"
                                             "x-ratelimit-limit-tokens-generated: 99999999999999999999\r\n"));
  TestProxy proxy(settings_at(upstream.port()));
  EXPECT_EQ(say_hello(proxy).status(), 200);
  EXPECT_FALSE(says(seen(proxy, "/weir/upstreams"), "learned"));
}

// Mistral: no minute brings it back, so that nobody else is sent there for a while.
TEST(LearnedHeaders, OfAMonthThatIsUsedUpOpenTheBreaker) {
  ScriptedUpstream upstream;
  upstream.expect_request().send(
      refused_saying("Rate limit exceeded", "x-ratelimitbysize-remaining-month: 0\r\nratelimitbysize-reset: 1\r\n"));
  proxy::Settings settings = settings_at(upstream.port());
  settings.upstreams[0].error_rules = {rule(proxy::Cause::minute_budget, "")};
  settings.breaker_enabled = true;
  TestProxy proxy(settings);
  const HttpMessage answer = say_hello(proxy);
  EXPECT_EQ(answer.status(), 429);
  EXPECT_EQ(say_hello(proxy).status(), 429) << "without asking again";
  EXPECT_TRUE(says(seen(proxy, "/weir/upstreams"), "up/m has no money or quota left"))
      << seen(proxy, "/weir/upstreams");
}

TEST(LearnedHeaders, OfAnUpstreamThatIsNotToBeBelievedAreNot) {
  ScriptedUpstream upstream;
  upstream.expect_request().send(
      json_answer(R"({"id":"x"})", "x-ratelimit-limit-requests: 10\r\nx-ratelimit-limit-tokens: 5000\r\n"));
  proxy::Settings settings = settings_at(upstream.port());
  settings.upstreams[0].limit_headers = proxy::LimitHeaders::tokens;
  TestProxy proxy(settings);
  EXPECT_EQ(say_hello(proxy).status(), 200);
  const std::string upstreams = seen(proxy, "/weir/upstreams");
  EXPECT_TRUE(says(upstreams, R"("meter":"tpm")"));
  EXPECT_FALSE(says(upstreams, R"("meter":"rpm")"));
}

TEST(LearnedBodies, CorrectTheBudgetThatTheyName) {
  ScriptedUpstream upstream;
  upstream.expect_request()
      .send(
          refused_saying("on tokens per min (TPM): Limit 30000, Used 29500, Requested 1200.", "retry-after-ms: 1\r\n"))
      .expect_request()
      .send(good_answer);
  proxy::Settings settings = settings_at(upstream.port());
  settings.upstreams[0].limits.tpm = 100'000;
  settings.upstreams[0].charge.rule = proxy::ChargeRule::input_then_output;
  settings.upstreams[0].error_rules = {rule(proxy::Cause::minute_budget, "tpm", "account", "tpm")};
  TestProxy proxy(settings);
  EXPECT_EQ(say_hello(proxy).status(), 200);
  const std::string upstreams = seen(proxy, "/weir/upstreams");
  EXPECT_TRUE(says(upstreams, R"("scope":"upstream","name":"up","meter":"tpm","limit":30000,"source":"body")"))
      << upstreams;
  const std::string budgets = seen(proxy, "/weir/budgets");
  EXPECT_TRUE(says(budgets, R"("tpm":{"limit":30000,"used":29)")) << "its figure of what is used: " << budgets;
}

// OpenAI's words on a bucket that others have emptied: what the call lacks is back in 120 ms, not in a minute.
TEST(LearnedBodies, OfAnEmptyBucketHoldUpNobodyForAWholeWindow) {
  for (const std::uint64_t rpm : {0, 500, 1'000}) {
    ScriptedUpstream upstream;
    upstream.expect_request()
        .send(refused_saying(
            "on requests per min (RPM): Limit 500, Used 500, Requested 1. Please try again in 120ms.",
            "retry-after-ms: 120\r\nx-ratelimit-limit-requests: 500\r\nx-ratelimit-remaining-requests: 0\r\n"))
        .expect_request()
        .send(good_answer);
    proxy::Settings settings = settings_at(upstream.port());
    if (rpm > 0) settings.upstreams[0].limits.rpm = rpm;
    settings.upstreams[0].error_rules = {rule(proxy::Cause::minute_budget, "rpm", "model", "rpm")};
    TestProxy proxy(settings);
    RawClient client(proxy.port());
    client.send(post("/v1/chat/completions", hello, "x-weir-max-wait: 10\r\n"));
    EXPECT_EQ(client.read_response().status(), 200) << rpm;
  }
}

TEST(LearnedOutcomes, ARefusalForTheSlopeHalvesWhatGoesAtOnce) {
  ScriptedUpstream upstream;
  upstream.expect_request().send(refused_saying("too steep")).expect_request().send(good_answer);
  proxy::Settings settings = settings_at(upstream.port());
  settings.upstreams[0].error_rules = {rule(proxy::Cause::ramp, "steep")};
  TestProxy proxy(settings);
  EXPECT_EQ(say_hello(proxy).status(), 200);
  EXPECT_TRUE(says(seen(proxy, "/weir/upstreams"), R"("meter":"concurrency","limit":1,"source":"outcome")"));
}

TEST(LearnedOutcomes, AReloadKeepsThemAndSwitchingOffForgetsThem) {
  ScriptedUpstream upstream;
  upstream.expect_request().send(refused_saying("too many concurrent requests")).expect_request().send(good_answer);
  proxy::Settings settings = settings_at(upstream.port());
  settings.upstreams[0].error_rules = {rule(proxy::Cause::concurrency, "concurrent")};
  TestProxy proxy(settings);
  EXPECT_EQ(say_hello(proxy).status(), 200);
  proxy.reload(settings);
  EXPECT_TRUE(says(seen(proxy, "/weir/upstreams"), R"("source":"outcome")"));
  settings.learn.enabled = false;
  proxy.reload(settings);
  EXPECT_FALSE(says(seen(proxy, "/weir/upstreams"), "learned"));
}

// A provider with a limit of calls at once that weir is not told.
struct Shape {
  const char* name;
  simulator::Dialect dialect;
  proxy::ErrorRule rule;
  const char* learned;
};

class HiddenConcurrency : public ::testing::TestWithParam<Shape> {};

TEST_P(HiddenConcurrency, IsLearnedFromRefusalsThatNoCallerSees) {
  simulator::Options options;
  options.listen = "127.0.0.1:0";
  options.dialect = GetParam().dialect;
  options.concurrency = 3;
  options.ttft = 20ms;
  options.tokens_per_second = 0;
  simulator::Simulator provider(options);
  const std::string origin = provider.origin();
  proxy::Settings settings = settings_at(static_cast<std::uint16_t>(std::stoi(origin.substr(origin.rfind(':') + 1))));
  settings.upstreams[0].error_rules = {GetParam().rule};
  TestProxy proxy(settings);
  std::vector<std::thread> callers;
  std::atomic<int> answered{0};
  for (int caller = 0; caller < 12; ++caller) {
    callers.emplace_back([&] {
      for (int i = 0; i < 10; ++i) answered += say_hello(proxy).status() == 200;
    });
  }
  for (std::thread& each : callers) each.join();
  EXPECT_EQ(answered, 120);
  const std::string upstreams = seen(proxy, "/weir/upstreams");
  EXPECT_TRUE(says(upstreams, GetParam().learned)) << upstreams;
  EXPECT_TRUE(says(seen(proxy, "/metrics"), R"(weir_upstream_learned_limit{upstream="up",meter="concurrency",)"));
}

const Shape shapes[] = {
    {"OpenAi", simulator::Dialect::openai, rule(proxy::Cause::concurrency, "concurrent", "model"),
     R"("name":"up/m","meter":"concurrency","limit":3,"source":"body")"},
    {"DeepSeek", simulator::Dialect::deepseek, rule(proxy::Cause::concurrency, "", "model"),
     R"("name":"up/m","meter":"concurrency","limit":)"},
    {"Ark", simulator::Dialect::ark, rule(proxy::Cause::concurrency, "concurrent", "account"),
     R"("name":"up","meter":"concurrency","limit":3,"source":"body")"},
};
INSTANTIATE_TEST_SUITE_P(InTheShapeOf, HiddenConcurrency, ::testing::ValuesIn(shapes),
                         [](const auto& each) { return std::string(each.param.name); });

}  // namespace
}  // namespace weir::test
