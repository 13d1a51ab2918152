// What a call counts for, by the rule of each kind of provider, and the most its answer can come to.
#include "proxy/charge.hpp"

#include <gtest/gtest.h>

#include <limits>

#include "protocol/request_support.hpp"
#include "proxy/route.hpp"

namespace weir::proxy {
namespace {

using protocol::Api;

constexpr InputTokens arriving{.expected = 100, .upper = 110, .on_arrival = 120};

Upstream upstream_with(ChargeRule rule) {
  Upstream upstream;
  upstream.charge.rule = rule;
  return upstream;
}

ChargePlan plan(const Upstream& upstream, const std::string& members, const ModelProfile* model = nullptr,
                Api api = Api::chat) {
  return plan_charge(protocol::view_of("{" + members + "}", api), arriving, upstream, model);
}

// Volcengine Ark's deepseek-r1, as in config/providers/volcengine-ark.yaml.
Upstream ark() {
  Upstream upstream = upstream_with(ChargeRule::input_then_output);
  upstream.output_caps = {{"max_tokens", false}, {"max_completion_tokens", true}};
  return upstream;
}
ModelProfile deepseek_r1() {
  ModelProfile model;
  model.name = "deepseek-r1";
  model.context_tokens = 128'000;
  model.output_tokens_max = 32'000;
  model.output_tokens_default = 4'000;
  model.thinking_tokens_max = 32'000;
  return model;
}
std::optional<std::uint64_t> ark_bound(const std::string& members) {
  const ModelProfile model = deepseek_r1();
  return plan(ark(), members, &model).output_cap;
}

// --- The rules

TEST(ChargeRules, MaxOrEstimateTakesTheLargerOfMaxOutputTimesNAndTheEstimate) {
  const Upstream openai = upstream_with(ChargeRule::max_or_estimate);
  EXPECT_EQ(plan(openai, R"("max_tokens":50)").fixed_on_arrival, 120U);
  EXPECT_EQ(plan(openai, R"("max_tokens":500)").fixed_on_arrival, 500U);
  EXPECT_EQ(plan(openai, R"("max_tokens":500,"n":100)").fixed_on_arrival, 50'000U);
  EXPECT_EQ(plan(openai, R"("max_completion_tokens":700)").fixed_on_arrival, 700U);
  EXPECT_EQ(plan(openai, "").fixed_on_arrival, 120U);
  EXPECT_EQ(plan(openai, R"("max_output_tokens":900)", nullptr, Api::responses).fixed_on_arrival, 900U);
}

TEST(ChargeRules, EstimatePlusMaxAddsMaxOutputTimesTheLargerOfNAndBestOf) {
  const Upstream azure = upstream_with(ChargeRule::estimate_plus_max);
  EXPECT_EQ(plan(azure, R"("max_tokens":50)").fixed_on_arrival, 170U);
  EXPECT_EQ(plan(azure, R"("max_tokens":50,"n":3)").fixed_on_arrival, 270U);
  EXPECT_EQ(plan(azure, R"("max_tokens":50,"n":2,"best_of":5)", nullptr, Api::completions).fixed_on_arrival, 370U);
}

TEST(ChargeRules, EstimatePlusMaxWithoutACapChargesTheRestOfTheContext) {
  ModelProfile model;
  model.context_tokens = 8'192;
  EXPECT_EQ(plan(upstream_with(ChargeRule::estimate_plus_max), "", &model).fixed_on_arrival, 120U + 8'192 - 100);
}

TEST(ChargeRules, InputThenOutputChargesTheInputOnArrivalAndTheOutputAsProduced) {
  const ChargePlan chat = plan(upstream_with(ChargeRule::input_then_output), R"("max_tokens":5000)");
  EXPECT_EQ(chat.fixed_on_arrival, 120U);
  EXPECT_TRUE(chat.output_as_produced);
  EXPECT_EQ(chat.output_cap, 5'000U);
  EXPECT_FALSE(chat.cached_free);
}

TEST(ChargeRules, CachedInputIsFreeWhereTheProviderSaysSo) {
  Upstream anthropic = upstream_with(ChargeRule::input_then_output);
  anthropic.charge.cached_input_free = true;
  EXPECT_TRUE(plan(anthropic, "").cached_free);
}

TEST(ChargeRules, ActualAndNoneChargeNothingOnArrival) {
  for (const ChargeRule rule : {ChargeRule::actual, ChargeRule::none}) {
    const ChargePlan chat = plan(upstream_with(rule), R"("max_tokens":5000,"n":9)");
    EXPECT_EQ(chat.rule, rule);
    EXPECT_EQ(chat.fixed_on_arrival, 0U);
    EXPECT_FALSE(chat.output_as_produced);
    EXPECT_EQ(chat.input_tokens, 100U);
    EXPECT_EQ(chat.input_upper, 110U);
  }
}

TEST(ChargeRules, AModelsOwnRuleComesBeforeItsUpstreams) {
  ModelProfile model;
  model.charge = Charge{ChargeRule::none, false};
  EXPECT_EQ(plan(upstream_with(ChargeRule::max_or_estimate), "", &model).rule, ChargeRule::none);
}

TEST(ChargeRules, EmbeddingsProduceNothing) {
  const ChargePlan embeddings = plan(upstream_with(ChargeRule::max_or_estimate), "", nullptr, Api::embeddings);
  EXPECT_EQ(embeddings.output_cap, 0U);
  EXPECT_EQ(embeddings.fixed_on_arrival, 120U);
}

TEST(ChargeRules, HugeCapsDoNotWrapAround) {
  constexpr std::uint64_t most = std::numeric_limits<std::uint64_t>::max();
  protocol::RequestView view;
  view.api = Api::chat;
  view.max_tokens = most;
  view.n = 128;
  const ChargePlan chat = plan_charge(view, arriving, upstream_with(ChargeRule::estimate_plus_max), nullptr);
  EXPECT_EQ(chat.fixed_on_arrival, most);
  EXPECT_EQ(chat.output_cap, most);
}

// A request for more is turned away, or means as much; as a charge it would hold the account up for windows.
TEST(ChargeRules, ACapBeyondWhatTheModelCanProduceCountsForNoMore) {
  ModelProfile model;
  model.output_tokens_max = 4'000;
  const std::string members = R"("max_tokens":1000000000)";
  EXPECT_EQ(plan(upstream_with(ChargeRule::max_or_estimate), members, &model).fixed_on_arrival, 4'000U);
  EXPECT_EQ(plan(upstream_with(ChargeRule::estimate_plus_max), members, &model).fixed_on_arrival, 4'120U);
  model.thinking_tokens_max = 1'000;
  EXPECT_EQ(plan(upstream_with(ChargeRule::max_or_estimate), members, &model).fixed_on_arrival, 5'000U);
  ModelProfile only_context;
  only_context.context_tokens = 8'192;
  EXPECT_EQ(plan(upstream_with(ChargeRule::max_or_estimate), members, &only_context).fixed_on_arrival, 8'192U);
}

// --- What a cap covers

TEST(OutputBound, ArksDeepseekR1WithoutACapIsItsDefaultAnswerAndAllThinking) {
  EXPECT_EQ(ark_bound(""), 36'000U);
}

TEST(OutputBound, ArksMaxTokensBoundsTheAnswerOnly) {
  EXPECT_EQ(ark_bound(R"("max_tokens":1000)"), 33'000U);
  EXPECT_EQ(ark_bound(R"("max_tokens":16000)"), 48'000U);
}

TEST(OutputBound, ArksMaxCompletionTokensBoundsAnswerAndThinkingAlone) {
  EXPECT_EQ(ark_bound(R"("max_completion_tokens":1000)"), 1'000U);
  EXPECT_EQ(ark_bound(R"("max_completion_tokens":50000)"), 50'000U);
}

TEST(OutputBound, OfBothCapsOnArkTheLooserCounts) {
  EXPECT_EQ(ark_bound(R"("max_tokens":1000,"max_completion_tokens":2000)"), 33'000U);
}

TEST(OutputBound, DeepseeksOwnMaxTokensIncludesTheThinking) {
  Upstream deepseek = upstream_with(ChargeRule::none);
  deepseek.output_caps = {{"max_tokens", true}};
  ModelProfile model;
  model.output_tokens_max = 384'000;
  EXPECT_EQ(plan(deepseek, R"("max_tokens":1000)", &model).output_cap, 1'000U);
  EXPECT_EQ(plan(deepseek, "", &model).output_cap, 384'000U);
}

TEST(OutputBound, CountsEveryChoice) {
  EXPECT_EQ(ark_bound(R"("max_completion_tokens":1000,"n":4)"), 4'000U);
  const ChargePlan completions =
      plan(upstream_with(ChargeRule::actual), R"("max_tokens":10,"n":2,"best_of":7)", nullptr, Api::completions);
  EXPECT_EQ(completions.output_cap, 70U);
}

TEST(OutputBound, ACapAboveWhatTheModelCanDoIsNotBelieved) {
  EXPECT_EQ(ark_bound(R"("max_tokens":99000)"), 64'000U);
  EXPECT_EQ(ark_bound(R"("max_completion_tokens":99000)"), 64'000U);
}

TEST(OutputBound, IsUnknownWithoutACapAndWithoutKnowledgeOfTheModel) {
  EXPECT_EQ(plan(upstream_with(ChargeRule::actual), "").output_cap, std::nullopt);
}

TEST(OutputBound, IsUnknownWhenACapCoversTheAnswerOnlyAndTheThinkingIsUnknown) {
  EXPECT_EQ(plan(ark(), R"("max_tokens":1000)").output_cap, std::nullopt);
}

TEST(OutputBound, WithoutACapIsTheRestOfTheContext) {
  ModelProfile model;
  model.context_tokens = 1'000;
  EXPECT_EQ(plan(upstream_with(ChargeRule::actual), "", &model).output_cap, 900U);
}

// --- The provider's own figure

TEST(RequestedFigure, GivesTheProvidersEstimateOfTheInput) {
  const auto input_of = [](ChargeRule rule, const std::string& members, std::uint64_t requested) {
    const auto view = protocol::view_of("{" + members + "}");
    return input_of_requested(plan(upstream_with(rule), members), view, requested);
  };
  EXPECT_EQ(input_of(ChargeRule::max_or_estimate, R"("max_tokens":50)", 130), 130U);
  EXPECT_EQ(input_of(ChargeRule::max_or_estimate, R"("max_tokens":500)", 500), std::nullopt);
  EXPECT_EQ(input_of(ChargeRule::estimate_plus_max, R"("max_tokens":50,"n":2)", 230), 130U);
  EXPECT_EQ(input_of(ChargeRule::input_then_output, "", 99), 99U);
  EXPECT_EQ(input_of(ChargeRule::actual, "", 99), std::nullopt);
}

}  // namespace
}  // namespace weir::proxy
