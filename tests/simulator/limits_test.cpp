// What a request costs under each charge rule, and that a refusal costs nothing.
#include "simulator/limits.hpp"

#include <gtest/gtest.h>

namespace weir::simulator {
namespace {

using namespace std::chrono_literals;
using Refusal = Verdict::Refusal;

const Instant opening = Instant(10h);

Options limited(Charge charge, std::uint64_t tpm, std::uint64_t rpm = 0, std::uint64_t concurrency = 0) {
  Options options;
  options.charge = charge;
  options.tpm = tpm;
  options.rpm = rpm;
  options.concurrency = concurrency;
  options.limiter = Limiter::sliding;
  return options;
}

TEST(Charge, IsTheProvidersRule) {
  struct Case {
    const char* name;
    Charge charge;
    Claim claim;
    std::uint64_t on_arrival;
  };
  const Case cases[] = {
      {"the cap when it is larger", Charge::max_or_estimate, {100, 500, 1, 1}, 500},
      {"the estimate when it is larger", Charge::max_or_estimate, {900, 500, 1, 1}, 900},
      {"n multiplies the cap", Charge::max_or_estimate, {900, 500, 3, 1}, 1500},
      {"estimate and cap", Charge::estimate_plus_max, {100, 500, 1, 1}, 600},
      {"best_of counts where it is larger", Charge::estimate_plus_max, {100, 500, 2, 5}, 2600},
      {"n counts where it is larger", Charge::estimate_plus_max, {100, 500, 6, 5}, 3100},
      {"input first", Charge::input_then_output, {100, 500, 1, 1}, 100},
      {"nothing yet", Charge::actual, {100, 500, 1, 1}, 0},
      {"nothing at all", Charge::none, {100, 500, 1, 1}, 0},
  };
  for (const Case& test : cases) {
    SCOPED_TRACE(test.name);
    EXPECT_EQ(Limits(limited(test.charge, 1'000'000)).charge_on_arrival(test.claim), test.on_arrival);
  }
}

TEST(Limits, OnArrivalRulesDoNotChargeAgain) {
  Limits limits(limited(Charge::max_or_estimate, 1000));
  EXPECT_EQ(limits.admit({10, 600, 1, 1}, opening).refusal, Refusal::none);
  limits.produce(300, opening);
  limits.finish(310, opening);
  EXPECT_EQ(limits.tokens(opening).remaining, 400u);
}

TEST(Limits, OutputIsChargedAsProduced) {
  Limits limits(limited(Charge::input_then_output, 1000));
  limits.admit({100, 5000, 1, 1}, opening);
  EXPECT_EQ(limits.tokens(opening).remaining, 900u);
  limits.produce(950, opening + 1s);
  EXPECT_EQ(limits.tokens(opening + 1s).remaining, 0u);  // in debt
  limits.finish(1050, opening + 1s);
  EXPECT_EQ(limits.admit({1, 0, 1, 1}, opening + 60s).refusal, Refusal::none) << "the input has left the window";
  EXPECT_EQ(limits.tokens(opening + 60s).remaining, 49u);
}

TEST(Limits, ActualIsChargedAtTheEnd) {
  Limits limits(limited(Charge::actual, 1000));
  limits.admit({400, 0, 1, 1}, opening);
  limits.produce(300, opening);
  EXPECT_EQ(limits.tokens(opening).remaining, 1000u);
  limits.finish(700, opening + 1s);
  EXPECT_EQ(limits.tokens(opening + 1s).remaining, 300u);
  limits.admit({5000, 0, 1, 1}, opening + 1s);
  limits.finish(5000, opening + 1s);
  EXPECT_EQ(limits.admit({1, 0, 1, 1}, opening + 1s).refusal, Refusal::tokens) << "exhausted";
}

TEST(Limits, NoneLimitsConcurrencyOnly) {
  Limits limits(limited(Charge::none, 10, 0, 2));
  EXPECT_EQ(limits.admit({1000, 1000, 1, 1}, opening).refusal, Refusal::none);
  EXPECT_EQ(limits.admit({1000, 1000, 1, 1}, opening).refusal, Refusal::none);
  const Verdict verdict = limits.admit({1, 1, 1, 1}, opening);
  EXPECT_EQ(verdict.refusal, Refusal::concurrency);
  EXPECT_EQ(verdict.limit, 2u);
  EXPECT_EQ(verdict.used, 2u);
  limits.finish(2000, opening);
  EXPECT_EQ(limits.admit({1, 1, 1, 1}, opening).refusal, Refusal::none);
}

TEST(Limits, ARefusalCostsNothing) {
  Limits limits(limited(Charge::max_or_estimate, 1000, 10, 1));
  EXPECT_EQ(limits.admit({1, 1001, 1, 1}, opening).refusal, Refusal::tokens);
  EXPECT_EQ(limits.requests(opening).remaining, 10u);
  EXPECT_EQ(limits.admit({1, 400, 1, 1}, opening).refusal, Refusal::none);
  EXPECT_EQ(limits.admit({1, 400, 1, 1}, opening).refusal, Refusal::concurrency);
  EXPECT_EQ(limits.requests(opening).remaining, 9u);
  EXPECT_EQ(limits.tokens(opening).remaining, 600u);
  EXPECT_EQ(limits.in_flight(), 1u);
}

TEST(Limits, ARefusalCountsWhereTheProviderSaysSo) {
  Options options = limited(Charge::max_or_estimate, 1000, 10);
  options.count_refused = true;
  Limits limits(options);
  EXPECT_EQ(limits.admit({1, 1001, 1, 1}, opening).refusal, Refusal::tokens);
  EXPECT_EQ(limits.requests(opening).remaining, 9u);
}

TEST(Limits, TheVerdictHasTheNumbersOfTheMessage) {
  Limits limits(limited(Charge::max_or_estimate, 1000));
  limits.admit({1, 700, 1, 1}, opening);
  const Verdict verdict = limits.admit({1, 500, 1, 1}, opening + 20s);
  EXPECT_EQ(verdict.refusal, Refusal::tokens);
  EXPECT_EQ(verdict.limit, 1000u);
  EXPECT_EQ(verdict.used, 700u);
  EXPECT_EQ(verdict.requested, 500u);
  EXPECT_EQ(verdict.wait, 40s);
  EXPECT_EQ(limits.admit({1, 1500, 1, 1}, opening + 20s).wait, std::nullopt);
}

}  // namespace
}  // namespace weir::simulator
