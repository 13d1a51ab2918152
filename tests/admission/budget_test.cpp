// All meters of one scope, asked together.
#include "admission/budget.hpp"

#include <gtest/gtest.h>

#include "admission/admission_support.hpp"

namespace weir::admission {
namespace {

Spread spread;  // laid out anew for each

using namespace test;

constexpr std::size_t at(Meter meter) {
  return static_cast<std::size_t>(meter);
}

Cost cost_of(Tokens input, Tokens output = 0) {
  Cost cost;
  cost.tokens = input + output;
  cost.input = input;
  cost.output = output;
  return cost;
}

Budget limited_to(std::vector<std::pair<Meter, Tokens>> limits) {
  Budget budget(limited(Scope::account, "up", std::move(limits)));
  budget.advance(start);
  return budget;
}

void pass(Budget& budget, const Cost& cost, Instant now = start) {
  budget.advance(now);
  budget.admit(cost);
  budget.send(cost, now);
}

TEST(Budget, EveryMeterHasASay) {
  struct Case {
    const char* name;
    Meter meter;
    Tokens limit;  // two requests of 30 in and 20 out fit, a third does not
  };
  const Case cases[] = {
      {"requests", Meter::requests, 2},
      {"tokens", Meter::tokens, 149},
      {"input", Meter::input, 89},
      {"output", Meter::output, 59},
      {"requests a day", Meter::requests_day, 2},
      {"tokens a day", Meter::tokens_day, 149},
      {"in flight", Meter::in_flight, 2},
  };
  for (const Case& each : cases) {
    Budget budget = limited_to({{each.meter, each.limit}});
    const Cost cost = cost_of(30, 20);
    for (int i = 0; i < 2; ++i) {
      EXPECT_FALSE(budget.blocked(cost, nullptr, spread, start)) << each.name;
      pass(budget, cost);
    }
    const auto blocked = budget.blocked(cost, nullptr, spread, start);
    ASSERT_TRUE(blocked) << each.name;
    EXPECT_EQ(at(blocked->meter), at(each.meter)) << each.name;
    EXPECT_EQ(budget.view(each.meter, start).limit, each.limit);
    EXPECT_GT(budget.view(each.meter, start).used, 0) << each.name;
  }
}

TEST(Budget, ARefusalCostsNothing) {
  Budget budget = limited_to({{Meter::requests, 100}, {Meter::tokens, 100}, {Meter::in_flight, 100}});
  pass(budget, cost_of(60));
  EXPECT_TRUE(budget.blocked(cost_of(41), nullptr, spread, start));
  EXPECT_EQ(budget.view(Meter::requests, start).used, 1);
  EXPECT_EQ(budget.view(Meter::tokens, start).used, 60);
  EXPECT_EQ(budget.in_flight(), 1);
}

TEST(Budget, GivingUpReturnsEverything) {
  Budget budget = limited_to({{Meter::requests, 2}, {Meter::tokens_day, 100}, {Meter::requests_day, 2}});
  pass(budget, cost_of(10));
  budget.admit(cost_of(50));
  EXPECT_TRUE(budget.blocked(cost_of(10), nullptr, spread, start));
  budget.give_up(cost_of(50));
  for (const Meter meter : {Meter::requests, Meter::tokens, Meter::input, Meter::requests_day, Meter::tokens_day})
    EXPECT_EQ(budget.view(meter, start).reserved, 0) << at(meter);
  EXPECT_EQ(budget.in_flight(), 1);
  EXPECT_FALSE(budget.blocked(cost_of(10), nullptr, spread, start));
}

TEST(Budget, ReservedIsCountedOnceAndOnlyUntilItIsSent) {
  Budget budget = limited_to({});
  budget.admit(cost_of(30, 20));
  EXPECT_EQ(budget.view(Meter::tokens, start).reserved, 50);
  EXPECT_EQ(budget.view(Meter::tokens, start).used, 0);
  EXPECT_EQ(budget.view(Meter::requests_day, start).reserved, 1);
  budget.send(cost_of(30, 20), start);
  EXPECT_EQ(budget.view(Meter::tokens, start).reserved, 0);
  EXPECT_EQ(budget.view(Meter::tokens, start).used, 50);
  EXPECT_EQ(budget.view(Meter::tokens_day, start).used, 50);
  EXPECT_EQ(budget.view(Meter::tokens_day, start).reserved, 0);
  EXPECT_EQ(budget.view(Meter::requests_day, start).used, 1);
  EXPECT_EQ(budget.view(Meter::requests_day, start).reserved, 0);
}

TEST(Budget, ConcurrencyEndsWithTheCall) {
  Budget budget = limited_to({{Meter::in_flight, 1}});
  pass(budget, cost_of(1));
  EXPECT_EQ(budget.blocked(cost_of(1), nullptr, spread, start)->when, never);
  budget.finish(1s);
  EXPECT_FALSE(budget.blocked(cost_of(1), nullptr, spread, start));
}

TEST(Budget, AForecastTakesRoomInTheMetersItWillBeChargedTo) {
  Expectation later;
  later.output = {50, start, start + 1s, start + 3s, false};
  for (const Meter meter : {Meter::tokens, Meter::output, Meter::tokens_day}) {
    Budget budget = limited_to({{meter, 100}});
    pass(budget, cost_of(1, 1));
    budget.plan(later, spread);
    EXPECT_TRUE(budget.blocked(cost_of(1, 1), &later, spread, start)) << at(meter);
    EXPECT_EQ(budget.view(meter, start).reserved, 50) << at(meter);
    budget.unplan(later, spread);
    EXPECT_FALSE(budget.blocked(cost_of(1, 1), &later, spread, start)) << at(meter);
  }
  Budget input = limited_to({{Meter::input, 100}});
  pass(input, cost_of(1, 1));
  input.plan(later, spread);
  EXPECT_EQ(input.view(Meter::input, start).reserved, 0);
}

TEST(Budget, InputChargedAtTheEndIsForecastToo) {
  Expectation later;
  later.output = {50, start, start + 3s, start + 3s, false};
  later.input = 40;
  Budget budget = limited_to({{Meter::tokens, 100}, {Meter::input, 100}});
  budget.plan(later, spread);
  EXPECT_EQ(budget.view(Meter::tokens, start).reserved, 90);
  EXPECT_EQ(budget.view(Meter::input, start).reserved, 40);
  budget.unplan(later, spread);
  EXPECT_EQ(budget.view(Meter::tokens, start).reserved, 0);
  EXPECT_EQ(budget.view(Meter::input, start).reserved, 0);
}

TEST(Budget, ChargesGoToTheirMeters) {
  Budget budget = limited_to({});
  budget.charge(30, 20, start);
  EXPECT_EQ(budget.view(Meter::tokens, start).used, 50);
  EXPECT_EQ(budget.view(Meter::input, start).used, 30);
  EXPECT_EQ(budget.view(Meter::output, start).used, 20);
  EXPECT_EQ(budget.view(Meter::tokens_day, start).used, 50);
  EXPECT_EQ(budget.view(Meter::requests, start).used, 0);
}

TEST(Budget, CorrectsInputWhereItWasCharged) {
  Budget budget = limited_to({});
  pass(budget, cost_of(30, 20));
  budget.correct(start, -10, -10, start + 1s);
  EXPECT_EQ(budget.view(Meter::tokens, start + 1s).used, 40);
  EXPECT_EQ(budget.view(Meter::input, start + 1s).used, 20);
  EXPECT_EQ(budget.view(Meter::output, start + 1s).used, 20);
  EXPECT_EQ(budget.view(Meter::tokens_day, start + 1s).used, 40);
}

TEST(Budget, UncountTakesARequestBack) {
  Budget budget = limited_to({{Meter::requests, 1}, {Meter::requests_day, 1}});
  pass(budget, cost_of(1));
  budget.uncount(start, start);
  EXPECT_FALSE(budget.blocked(cost_of(1), nullptr, spread, start));
  EXPECT_EQ(budget.view(Meter::requests_day, start).used, 0);
}

TEST(Budget, NamesTheMeterACostCanNeverFit) {
  Budget budget = limited_to({{Meter::tokens, 100}, {Meter::input, 60}, {Meter::output, 50}, {Meter::tokens_day, 95}});
  EXPECT_FALSE(budget.oversize(cost_of(60, 30)));
  EXPECT_EQ(budget.oversize(cost_of(60, 41)), Meter::tokens);
  EXPECT_EQ(budget.oversize(cost_of(61, 30)), Meter::input);
  EXPECT_EQ(budget.oversize(cost_of(45, 51)), Meter::output);
  EXPECT_EQ(budget.oversize(cost_of(50, 46)), Meter::tokens_day);
}

TEST(Budget, NamesTheMeterThatWhatComesLaterCanNeverFit) {
  const Budget budget = limited_to({{Meter::tokens, 100}, {Meter::output, 50}});
  Cost at_end;
  at_end.later = LaterCharge::at_end;
  at_end.later_input = 101;
  EXPECT_EQ(budget.oversize(at_end), Meter::tokens);
  Cost as_produced = cost_of(10);
  as_produced.later = LaterCharge::as_produced;
  as_produced.later_output = 51;
  EXPECT_FALSE(budget.oversize(as_produced)) << "a guess";
  as_produced.lump = true;
  EXPECT_EQ(budget.oversize(as_produced), Meter::output);
  as_produced.later_output = 91;
  EXPECT_EQ(budget.oversize(as_produced), Meter::tokens);
}

TEST(Budget, ASliceIsNoLongerThanTheWindow) {
  BudgetLimits limits = account({{Meter::requests, 2}});
  limits.window = 2s;
  limits.pacing = 20s;
  Budget budget(limits);
  pass(budget, cost_of(1));
  pass(budget, cost_of(1), start + 1s);
  EXPECT_TRUE(budget.blocked(cost_of(1), nullptr, spread, start + 1s));
  budget.advance(start + 2100ms);
  EXPECT_FALSE(budget.blocked(cost_of(1), nullptr, spread, start + 2100ms));
}

TEST(Budget, PredictsTheMeterThatTakesLongest) {
  Budget budget = limited_to({{Meter::requests, 60}, {Meter::tokens, 600}});
  for (int i = 0; i < 60; ++i) pass(budget, cost_of(10));
  const Blocked soon = budget.predict({0, 0}, cost_of(1), start);
  EXPECT_GT(soon.when, start + 60s);
  const Blocked tokens = budget.predict({0, 1'199}, cost_of(1), start);
  EXPECT_EQ(at(tokens.meter), at(Meter::tokens));
  EXPECT_GT(tokens.when, start + 120s);
  const Blocked requests = budget.predict({179, 599}, cost_of(1), start);
  EXPECT_EQ(at(requests.meter), at(Meter::requests));
  EXPECT_GT(requests.when, start + 180s);
}

TEST(Budget, PredictsInputAndOutputApartBehindCallsThatAreTakenForAlike) {
  Budget budget = limited_to({{Meter::input, 600}, {Meter::output, 600}});
  pass(budget, cost_of(600, 100));
  const Blocked input = budget.predict({0, 0}, cost_of(10, 10), start);
  EXPECT_EQ(at(input.meter), at(Meter::input));
  EXPECT_GT(input.when, start + 60s);
  EXPECT_EQ(budget.predict({0, 0}, cost_of(0, 10), start).when, start);
  const Budget::Ahead ahead{100, 1'000};  // half of it output, as of the call
  EXPECT_EQ(at(budget.predict(ahead, cost_of(1, 1), start).meter), at(Meter::input));
  EXPECT_EQ(at(budget.predict(ahead, cost_of(0, 1), start).meter), at(Meter::output));
  EXPECT_GT(budget.predict(ahead, cost_of(0, 1), start).when, start + 60s);
  EXPECT_EQ(budget.predict(ahead, cost_of(0, 2), start, Budget::Basis::knowledge).when,
            budget.predict(ahead, cost_of(0, 2), start).when)
      << "all output, as what is ahead is known to be";
}

TEST(Budget, DoesNotTakeAGuessOfWhatIsAheadForKnowledge) {
  Budget budget = limited_to({{Meter::input, 600}, {Meter::output, 600}});
  pass(budget, cost_of(300, 100));
  const Budget::Ahead ahead{100, 1'000};
  EXPECT_GT(budget.predict(ahead, cost_of(1, 1), start).when, start + 60s);
  EXPECT_EQ(budget.predict(ahead, cost_of(1, 1), start, Budget::Basis::knowledge).when, start);
}

TEST(Budget, PredictsConcurrencyByHowLongCallsLast) {
  Budget budget = limited_to({{Meter::in_flight, 10}});
  for (int i = 0; i < 10; ++i) pass(budget, cost_of(1));
  for (int i = 0; i < 10; ++i) budget.finish(20s);
  for (int i = 0; i < 10; ++i) pass(budget, cost_of(1));
  EXPECT_EQ(budget.predict({4, 4}, cost_of(1), start).when, start + 10s);
  EXPECT_EQ(at(budget.predict({4, 4}, cost_of(1), start).meter), at(Meter::in_flight));
}

TEST(Budget, GuessesHowLongCallsLastOnlyWhereAskedTo) {
  Budget budget = limited_to({{Meter::in_flight, 1}});
  pass(budget, cost_of(1));
  EXPECT_EQ(budget.predict({599, 599}, cost_of(1), start).when, start + 600s);
  EXPECT_EQ(budget.predict({599, 599}, cost_of(1), start, Budget::Basis::knowledge).when, start);
  budget.finish(2s);
  EXPECT_EQ(budget.predict({600, 600}, cost_of(1), start, Budget::Basis::knowledge).when, start + 1200s);
}

TEST(Budget, PredictsTheNextDayWhenTodayIsFull) {
  BudgetLimits limits = limited(Scope::account, "up", {{Meter::tokens_day, 100}});
  limits.day_resets = start + 5h;
  Budget budget(limits);
  pass(budget, cost_of(90));
  EXPECT_EQ(budget.predict({0, 10}, cost_of(1), start).when, start + 5h + 50ms);
  EXPECT_EQ(budget.predict({0, 9}, cost_of(1), start).when, start);
}

TEST(Budget, AStartWithoutKnowledgeIsSpentForAWindowAtMost) {
  Budget budget = limited_to({{Meter::requests, 10}, {Meter::tokens, 100}});
  budget.assume_spent(start + 1h, start);
  budget.advance(start + 59s);
  EXPECT_TRUE(budget.blocked(cost_of(1), nullptr, spread, start + 59s));
  budget.advance(start + 60s);
  EXPECT_FALSE(budget.blocked(cost_of(100), nullptr, spread, start + 60s));
}

TEST(Budget, WhatIsChargedOutlivesTheProcess) {
  BudgetLimits limits =
      limited(Scope::account, "up", {{Meter::requests, 10}, {Meter::tokens, 100}, {Meter::tokens_day, 500}});
  limits.day_resets = start + 5h;
  Budget before(limits);
  pass(before, cost_of(30), start);
  pass(before, cost_of(20), start + 30s);
  before.admit(cost_of(7));
  Budget after(limits);
  const Instant now = start + 1000h;  // its clock has nothing to do with the other one
  limits.day_resets = now + 5h;
  after.configure(limits, now);
  after.advance(now);
  for (const Budget::Charge& charge : before.charges(start + 30s)) after.restore(charge, now);
  EXPECT_EQ(after.view(Meter::tokens, now).used, 57);
  EXPECT_EQ(after.view(Meter::requests, now).used, 3);
  EXPECT_EQ(after.view(Meter::tokens_day, now).used, 57);
  after.advance(now + 31s);
  EXPECT_EQ(after.view(Meter::tokens, now + 31s).used, 27);
  after.advance(now + 61s);
  EXPECT_EQ(after.view(Meter::tokens, now + 61s).used, 0);
  EXPECT_EQ(after.view(Meter::tokens_day, now + 61s).used, 57);
}

TEST(Budget, WhatHasLeftMeanwhileIsNotRestored) {
  Budget budget = limited_to({{Meter::tokens, 100}});
  budget.restore({Meter::tokens, -1s, 50}, start);
  budget.restore({Meter::tokens_day, 0s, 50}, start);
  EXPECT_EQ(budget.view(Meter::tokens, start).used, 0);
  EXPECT_EQ(budget.view(Meter::tokens_day, start).used, 0);
  budget.restore({Meter::tokens, 5h, 50}, start);  // the window was longer then
  budget.advance(start + 61s);
  EXPECT_EQ(budget.view(Meter::tokens, start + 61s).used, 0);
}

TEST(Budget, ShowsWhenItWillBeEmpty) {
  Budget budget = limited_to({{Meter::tokens, 100}});
  EXPECT_EQ(budget.view(Meter::tokens, start).full_in, 0s);
  pass(budget, cost_of(150));
  const MeterView view = budget.view(Meter::tokens, start);
  EXPECT_EQ(view.debt, 50);
  EXPECT_GT(view.full_in, 60s);
}

TEST(Budget, TheSlotOfACallThatWasCutOffIsFreeAGuardLater) {
  Budget budget(limited(Scope::account, "up", {{Meter::in_flight, 1}}));
  pass(budget, cost_of(0));
  budget.advance(start + 1s);
  budget.cut_off(1s, start + 1s);
  EXPECT_EQ(budget.in_flight(), 0);
  EXPECT_EQ(budget.view(Meter::in_flight, start + 1s).used, 1);
  const auto blocked = budget.blocked(cost_of(0), nullptr, spread, start + 1s);
  ASSERT_TRUE(blocked);
  EXPECT_EQ(blocked->meter, Meter::in_flight);
  EXPECT_EQ(blocked->when, start + 1'050ms);
  budget.advance(start + 1'050ms);
  EXPECT_FALSE(budget.blocked(cost_of(0), nullptr, spread, start + 1'050ms));
}

TEST(Budget, OnlyTokensHaveABurst) {
  BudgetLimits limits = limited(Scope::account, "up", {{Meter::requests, 600}, {Meter::tokens, 600}});
  limits.burst = 10;
  Budget budget(limits);
  for (int i = 0; i < 50; ++i) pass(budget, cost_of(0));
  EXPECT_FALSE(budget.blocked(cost_of(10), nullptr, spread, start));
  pass(budget, cost_of(10));
  EXPECT_TRUE(budget.blocked(cost_of(1), nullptr, spread, start));
}

}  // namespace
}  // namespace weir::admission
