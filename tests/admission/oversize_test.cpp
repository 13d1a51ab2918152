// Calls that are larger than a whole limit: what they owe, for how long, and when it is not asked for.
#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "admission/admission_support.hpp"
#include "admission/debts.hpp"
#include "admission/window_meter.hpp"

namespace weir::admission {
namespace {

using namespace test;

Limits tokens_of(Tokens limit, Duration pacing = {}) {
  BudgetLimits up = account({{Meter::tokens, limit}});
  up.pacing = pacing;
  return all_of({up});
}

using Paid = std::vector<std::pair<Instant, Tokens>>;

TEST(Debts, ArePaidInPartsAStepApart) {
  Debts debts;
  debts.add({start + 1s, 250, 100, start});
  EXPECT_EQ(debts.sum(), 250);
  EXPECT_EQ(debts.next_due(), start + 1s);
  Paid paid;
  const auto pay = [&](Instant due, Tokens part) { paid.emplace_back(due, part); };
  debts.fall_due(start + 2s, 1s, pay);
  EXPECT_EQ(paid, (Paid{{start + 1s, 100}, {start + 2s, 100}}));
  EXPECT_EQ(debts.sum(), 50);
  EXPECT_EQ(debts.next_due(), start + 3s);
  debts.fall_due(start + 1h, 1s, pay);
  EXPECT_EQ(paid.back(), (Paid::value_type{start + 3s, 50}));
  EXPECT_EQ(debts.sum(), 0);
  EXPECT_EQ(debts.next_due(), never);
}

TEST(Debts, AreTakenBackFromTheCallTheyAreOf) {
  Debts debts;
  debts.add({start + 1s, 100, 100, start});
  debts.add({start + 2s, 50, 100, start + 1s});
  EXPECT_EQ(debts.take_back(start + 7s, 10), 0);
  EXPECT_EQ(debts.take_back(start, 30), 30);
  EXPECT_EQ(debts.take_back(start + 1s, 80), 50);
  EXPECT_EQ(debts.sum(), 70);
  EXPECT_EQ(debts.next_due(), start + 1s);
}

TEST(Debts, ArePaidInOtherPartsFromNowOn) {
  Debts debts;
  debts.add({start + 1s, 250, 100, start});
  Paid paid;
  const auto pay = [&](Instant due, Tokens part) { paid.emplace_back(due, part); };
  debts.fall_due(start + 1s, 1s, pay);
  debts.repart(50, 500ms);
  EXPECT_EQ(debts.sum(), 150);
  EXPECT_EQ(debts.next_due(), start + 2500ms);
  debts.fall_due(start + 1h, 1500ms, pay);
  EXPECT_EQ(paid, (Paid{{start + 1s, 100}, {start + 2500ms, 50}, {start + 4s, 50}, {start + 5500ms, 50}}));
}

TEST(Oversize, OwesNothingWhenItIsTurnedAway) {
  for (const Duration pacing : {0s, 1s}) {
    Desk desk(tokens_of(100, pacing));
    desk.submit("huge", {.tokens = 900});
    EXPECT_EQ(desk.pass(), "huge");
    EXPECT_EQ(desk.used(), 900);
    desk.now += 100ms;
    desk.settle("huge", {}, Ending::refused);
    EXPECT_EQ(desk.used(), 100);
    desk.submit("next", {.key = "other", .tokens = 1});
    EXPECT_EQ(desk.pass_when_woken(), "next");
    EXPECT_LT(desk.now, start + 61s);
  }
}

TEST(Oversize, OfASliceOwesNoMoreSlicesWhenItIsTurnedAway) {
  Desk desk(tokens_of(6'000, 1s));
  desk.submit("huge", {.tokens = 3'000});
  EXPECT_EQ(desk.pass(), "huge");
  desk.settle("huge", {}, Ending::refused);
  desk.submit("next", {.tokens = 100});
  EXPECT_EQ(desk.pass_when_woken(), "next");
  EXPECT_LT(desk.now, start + 2s);
}

TEST(Oversize, GivesTheEvenRateBackWhenItIsTurnedAway) {
  BudgetLimits up = account({{Meter::tokens, 100}});
  up.burst = 50;
  Desk desk(all_of({up}));
  desk.submit("huge", {.tokens = 900});
  EXPECT_EQ(desk.pass(), "huge");
  desk.settle("huge", {}, Ending::refused);
  desk.submit("next", {.key = "other", .tokens = 1});
  EXPECT_EQ(desk.pass_when_woken(), "next");
  EXPECT_LT(desk.now, start + 61s);
}

TEST(Oversize, ARefundIsTakenFromWhatIsStillOwed) {
  Desk desk(tokens_of(100));
  desk.submit("huge", {.tokens = 350, .corrects = true});
  desk.pass();
  desk.settle("huge", used(120, 0));
  EXPECT_EQ(desk.used(), 120);
  desk.now += 61s;
  EXPECT_EQ(desk.used(), 20);
}

TEST(Oversize, OfADayIsNotCountedWhenItIsTurnedAway) {
  BudgetLimits up = account({{Meter::tokens_day, 100}});
  up.day_resets = start + 20h;
  Desk desk(all_of({up}));
  desk.submit("huge", {.tokens = 150});
  desk.submit("next", {.tokens = 1});
  EXPECT_EQ(desk.pass(), "huge");
  desk.settle("huge", {}, Ending::refused);
  EXPECT_EQ(desk.pass(), "next");
}

TEST(Oversize, IsRefusedWhenItWouldPayForLongerThanTenWindows) {
  Desk desk(tokens_of(100));
  EXPECT_EQ(desk.submit("a", {.tokens = 1'001}), "oversize");
  EXPECT_EQ(desk.rejected.meter, Meter::tokens);
  EXPECT_EQ(desk.rejected.most, 1'000);
  EXPECT_EQ(desk.submit("b", {.tokens = 1'000}), "");
  BudgetLimits quick = account({{Meter::tokens, 100}});
  quick.window = 1s;
  Desk seconds(all_of({quick}));
  EXPECT_EQ(seconds.submit("a", {.tokens = 60'001}), "oversize");  // ten minutes
  EXPECT_EQ(seconds.rejected.most, 60'000);
  EXPECT_EQ(seconds.submit("b", {.tokens = 60'000}), "");
}

TEST(Oversize, CostsTheSameHoweverLargeItIs) {
  WindowLimit limit;
  limit.limit = 10'000;
  limit.pacing = 1s;
  WindowMeter meter(limit);
  meter.advance(start);
  meter.reserve(1'000'000'000);
  meter.send(1'000'000'000, start);
  EXPECT_EQ(meter.used(), 1'000'000'000);
  EXPECT_EQ(meter.log().entries().size(), 1u);
  EXPECT_EQ(meter.debts().all().size(), 1u);
}

TEST(Oversize, WhatIsOwedOutlivesTheProcess) {
  const Limits limits = tokens_of(1'000);
  Desk before(limits);
  before.submit("huge", {.tokens = 3'500});
  before.pass();
  Desk after(limits, start + 1000h);
  before.now += 10s;
  after.scheduler.restore(before.scheduler.snapshot(before.now), 5s, after.now);
  EXPECT_EQ(after.used(), 3'500);
  after.now += 60s - 15s + 1s;
  EXPECT_EQ(after.used(), 2'500);
  after.submit("next", {.tokens = 501});
  EXPECT_EQ(after.pass_when_woken(), "next");
  EXPECT_GT(after.now, start + 1000h - 15s + 240s);
  EXPECT_LT(after.now, start + 1000h - 15s + 241s);
}

TEST(Oversize, PaysALimitsWorthInEachWindowWhenTheLimitIsLoweredOrRaised) {
  struct Row {
    Tokens limit, after_one, after_two;  // what is still used when so many windows have passed
  };
  for (const auto& [limit, after_one, after_two] : {Row{50, 250, 200}, Row{100, 250, 150}, Row{200, 250, 50}}) {
    Desk desk(tokens_of(100));
    desk.submit("huge", {.tokens = 350});
    EXPECT_EQ(desk.pass(), "huge");
    desk.now += 10s;
    desk.reconfigure(tokens_of(limit));
    EXPECT_EQ(desk.used(), 350);
    desk.now = start + 61s;
    EXPECT_EQ(desk.used(), after_one);
    Desk next(tokens_of(limit), desk.now);
    next.scheduler.restore(desk.scheduler.snapshot(desk.now), 0s, desk.now);
    desk.now = next.now = start + 121s;
    EXPECT_EQ(desk.used(), after_two);
    EXPECT_EQ(next.used(), after_two);
  }
}

TEST(Oversize, PaysInTheWindowsOfTheNewLength) {
  Desk desk(tokens_of(100));
  desk.submit("huge", {.tokens = 350});
  EXPECT_EQ(desk.pass(), "huge");
  BudgetLimits hourly = account({{Meter::tokens, 100}});
  hourly.window = 1h;
  desk.now += 10s;
  desk.reconfigure(all_of({hourly}));
  desk.now = start + 1h;
  EXPECT_EQ(desk.used(), 350);
  desk.now = start + 1h + 2s;
  EXPECT_EQ(desk.used(), 250);
  desk.now = start + 2h + 2s;
  EXPECT_EQ(desk.used(), 150);
}

TEST(Oversize, OfASlicePaysASlicesWorthWhenTheLimitIsLowered) {
  Desk desk(tokens_of(6'000, 1s));
  desk.submit("large", {.tokens = 300});
  EXPECT_EQ(desk.pass(), "large");
  desk.reconfigure(tokens_of(3'000, 1s));  // 50 a second
  desk.now += 3s;
  desk.submit("next", {.tokens = 10});
  EXPECT_EQ(desk.pass(), "") << "200 are still to pay";
  EXPECT_EQ(desk.pass_when_woken(), "next");
  EXPECT_GT(desk.now, start + 5s);
  EXPECT_LT(desk.now, start + 6s);
}

TEST(Oversize, TakesTheEvenRateAfterARestartThatItTookBefore) {
  BudgetLimits even = account({{Meter::tokens, 100}});
  even.burst = 50;
  for (const Duration pause : {10s, 100s}) {
    Desk before(all_of({even}));
    before.submit("huge", {.tokens = 350});
    EXPECT_EQ(before.pass(), "huge");
    before.now += pause;
    const Snapshot snapshot = before.scheduler.snapshot(before.now);
    before.now += 5s;
    Desk after(all_of({even}), before.now);
    after.scheduler.restore(snapshot, 5s, after.now);
    for (Desk* desk : {&before, &after}) {
      desk->submit("next", {.tokens = 20});
      EXPECT_EQ(desk->pass_when_woken(), "next");
    }
    EXPECT_GT(before.now, start + 190s);
    EXPECT_LT(after.now - before.now, 10ms);
    EXPECT_GE(after.now, before.now);
  }
}

// --- What nobody knows of

TEST(LostCalls, AreChargedAWindowAtMost) {
  Desk desk(tokens_of(1'000));
  desk.submit("a", {.tokens = 10, .later = LaterCharge::as_produced, .output = 50, .output_max = 1'000'000'000});
  desk.pass();
  desk.settle("a", {}, Ending::lost);
  EXPECT_EQ(desk.used(), 1'010);
}

TEST(LostCalls, CostADayWhatWasExpected) {
  Desk desk(all_of({account({{Meter::tokens_day, 1'000}})}));
  desk.submit("a", {.tokens = 10, .later = LaterCharge::as_produced, .output = 50, .output_max = 1'000'000'000});
  desk.pass();
  desk.settle("a", {}, Ending::lost);
  EXPECT_EQ(desk.used(Meter::tokens_day), 60);
}

TEST(LostCalls, TakeTheTurnsOfWhatWasExpected) {
  Desk desk(all_of({account({{Meter::in_flight, 1}})}));
  desk.submit("lost", {.key = "a", .tokens = 10, .later = LaterCharge::as_produced, .output_max = 1'000'000});
  EXPECT_EQ(desk.pass(), "lost");
  for (const char* name : {"a1", "a2", "b1", "b2"}) desk.submit(name, {.key = std::string(1, name[0]), .tokens = 20});
  desk.settle("lost", {}, Ending::lost);
  std::string order;
  for (int i = 0; i < 4; ++i) {
    desk.now += 1s;
    const std::string next = desk.pass();
    order += next + ' ';
    desk.settle(next);
  }
  EXPECT_EQ(order, "b1 a1 b2 a2 ");
}

// --- What an upstream says that cannot be

TEST(ImpossibleUsage, MoreCachedThanThereWasDoesNotPayForOthers) {
  BudgetLimits up = account({{Meter::tokens, 1'000}});
  Desk desk(all_of({up}));
  desk.submit("other", {.tokens = 500});
  Submission s;
  s.key = desk.scheduler.budget(Scope::key, "k");
  s.account = desk.scheduler.budget(Scope::account, "up");
  s.own.tokens = s.own.input = s.upstream.tokens = s.upstream.input = 100;
  s.own.corrects = s.upstream.corrects = s.upstream.cached_input_free = true;
  s.arrived = desk.now;
  const Ticket ticket = std::get<Ticket>(desk.scheduler.submit(s, desk.now));
  desk.pass();
  desk.scheduler.measured(ticket, 100, 5'000, desk.now);
  EXPECT_EQ(desk.used(), 500);
  desk.scheduler.settle(ticket, used(100, 0, 9'000), Ending::complete, desk.now);
  EXPECT_EQ(desk.used(), 500);
}

TEST(ImpossibleUsage, NegativeOrEndlessFiguresKeepTheBooks) {
  Desk desk(all_of({account({{Meter::tokens, 1'000}})}));
  desk.submit("a", {.tokens = 10, .later = LaterCharge::at_end, .output = 10});
  desk.submit("b", {.tokens = 10, .later = LaterCharge::at_end, .output = 10});
  desk.pass();
  desk.settle("a", used(-5, -7));
  EXPECT_EQ(desk.used(), 0);
  desk.settle("b", used(std::numeric_limits<Tokens>::max(), std::numeric_limits<Tokens>::max()));
  EXPECT_EQ(desk.used(), 2 * tokens_of_call_max);
}

}  // namespace
}  // namespace weir::admission
