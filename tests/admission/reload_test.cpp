// Limits that change while something is spent: what passed before counts by the new ones.
#include <gtest/gtest.h>

#include "admission/admission_support.hpp"
#include "admission/window_meter.hpp"

namespace weir::admission {
namespace {

using namespace test;

Spread spread;

WindowLimit limited(Tokens limit, Duration window = 60s) {
  WindowLimit made;
  made.limit = limit;
  made.window = window;
  return made;
}

bool passes(WindowMeter& meter, Tokens amount, Instant now) {
  meter.advance(now);
  if (meter.blocked(amount, nullptr, spread, now)) return false;
  meter.reserve(amount);
  meter.send(amount, now);
  return true;
}

TEST(Reload, ALongerWindowTakesWhatHasLeftForAsMuchAsItCanHaveBeen) {
  WindowMeter meter(limited(10, 1s));
  EXPECT_TRUE(passes(meter, 10, start));
  meter.advance(start + 2s);
  EXPECT_EQ(meter.used(), 0);
  meter.configure(limited(12, 60s), start + 2s);
  EXPECT_TRUE(passes(meter, 2, start + 2s));
  EXPECT_FALSE(passes(meter, 1, start + 59s));
  EXPECT_TRUE(passes(meter, 10, start + 60s + 60ms));
}

TEST(Reload, ALongerWindowAfterAnIdleOneIsEmpty) {
  WindowMeter meter(limited(10, 1s));
  passes(meter, 10, start);
  meter.configure(limited(10, 60s), start + 61s);
  EXPECT_TRUE(passes(meter, 10, start + 61s));
}

TEST(Reload, ThereAndBackAgainWhatHasLeftIsNoYoungerThanItWas) {
  WindowMeter meter(limited(10, 60s));
  passes(meter, 10, start);
  meter.configure(limited(10, 1s), start + 30s);
  meter.configure(limited(10, 60s), start + 40s);
  EXPECT_FALSE(passes(meter, 1, start + 59s));
  EXPECT_TRUE(passes(meter, 10, start + 60s + 60ms));
}

TEST(Reload, WhatHasLeftALongWindowIsOlderThanAShortOne) {
  WindowMeter meter(limited(10, 60s));
  passes(meter, 10, start);
  meter.configure(limited(10, 1s), start + 61s);
  meter.configure(limited(10, 60s), start + 70s);
  EXPECT_TRUE(passes(meter, 10, start + 70s));
}

TEST(Reload, NewSlicesHoldWhatWasJustSent) {
  WindowMeter meter(limited(6'000));
  passes(meter, 300, start);
  passes(meter, 80, start + 9'500ms);
  WindowLimit paced = limited(6'000);
  paced.pacing = 1s;
  meter.configure(paced, start + 10s);
  EXPECT_FALSE(passes(meter, 21, start + 10s));
  EXPECT_TRUE(passes(meter, 20, start + 10s));
}

TEST(Reload, LongerSlicesHoldWhatTheShortOnesHadLetGo) {
  WindowLimit paced = limited(6'000);
  paced.pacing = 100ms;
  WindowMeter meter(paced);
  passes(meter, 10, start);
  passes(meter, 10, start + 500ms);
  paced.pacing = 1s;
  meter.configure(paced, start + 700ms);
  EXPECT_FALSE(passes(meter, 81, start + 700ms));
  EXPECT_TRUE(passes(meter, 80, start + 700ms));
}

TEST(Reload, ANewBurstCountsWhatWasJustSent) {
  WindowMeter meter(limited(6'000));
  passes(meter, 1'000, start);  // ten seconds' worth
  WindowLimit even = limited(6'000);
  even.burst = 100;
  meter.configure(even, start + 5s);
  EXPECT_FALSE(passes(meter, 1, start + 8s));
  EXPECT_TRUE(passes(meter, 50, start + 9'900ms));
}

TEST(Reload, ALowerLimitSlowsTheEvenRateForWhatWasSentBefore) {
  WindowLimit even = limited(6'000);
  even.burst = 1'000;
  WindowMeter meter(even);
  passes(meter, 900, start);
  even.limit = 1'200;
  even.burst = 100;
  meter.configure(even, start + 1s);
  EXPECT_FALSE(passes(meter, 50, start + 41s));  // 45 seconds' worth now
  EXPECT_TRUE(passes(meter, 50, start + 43s));
}

TEST(Reload, AnotherBurstAtTheSameRateGoesOnWhereItWas) {
  WindowLimit even = limited(6'000);
  even.burst = 1'000;
  WindowMeter meter(even);
  passes(meter, 1'000, start);
  even.burst = 500;
  meter.configure(even, start);
  EXPECT_FALSE(passes(meter, 100, start + 5s));
  EXPECT_TRUE(passes(meter, 100, start + 6'100ms));
}

// --- Days

TEST(Reload, AfterAMidnightThatNobodySawYesterdayIsOver) {
  BudgetLimits limits = key("k", {{Meter::requests_day, 1}});
  limits.day_resets = start + 1h;
  Desk desk(all_of({limits}));
  desk.submit("a", {});
  EXPECT_EQ(desk.pass(), "a");
  desk.now = start + 2h;
  limits.day_resets = start + 25h;
  desk.scheduler.reconfigure(all_of({limits}), desk.now);
  desk.submit("b", {});
  EXPECT_EQ(desk.pass(), "b");
}

TEST(Reload, WithinTheGuardAfterMidnightTheOldDayEndsAGuardAfterIt) {
  BudgetLimits limits = key("k", {{Meter::requests_day, 1}});
  limits.day_resets = start + 1h;
  Desk desk(all_of({limits}));
  desk.submit("a", {});
  desk.pass();
  desk.now = start + 1h + 20ms;
  limits.day_resets = start + 25h;
  desk.reconfigure(all_of({limits}));
  EXPECT_EQ(desk.view(Scope::key, "k", Meter::requests_day).used, 1);
  desk.now = start + 1h + 50ms;
  EXPECT_EQ(desk.view(Scope::key, "k", Meter::requests_day).used, 0);
  desk.submit("b", {});
  EXPECT_EQ(desk.pass(), "b");
  desk.now = start + 25h + 50ms;
  desk.submit("c", {});
  EXPECT_EQ(desk.pass(), "c");
}

TEST(Reload, ABudgetWithoutLimitsStillCountsByTheDay) {
  BudgetLimits limits = key("k", {{Meter::requests_day, 1}});
  limits.day_resets = start + 1h;
  Desk desk(all_of({limits}));
  desk.submit("a", {});
  desk.pass();
  desk.reconfigure(all_of({}));
  desk.now = start + 50h;
  limits.day_resets = start + 73h;
  desk.reconfigure(all_of({limits}));
  desk.submit("b", {});
  EXPECT_EQ(desk.pass(), "b");
}

TEST(Reload, WhoWaitsForAnAccountThatIsGoneKeepsItsLimits) {
  Desk desk(all_of({account({{Meter::requests, 1}}), key("k", {{Meter::requests, 2}})}));
  for (const char* name : {"a", "b", "c"}) desk.submit(name, {});
  EXPECT_EQ(desk.pass(), "a");
  desk.reconfigure(all_of({account({{Meter::requests, 1}}, "other")}));
  EXPECT_EQ(desk.pass(), "");
  EXPECT_EQ(desk.pass_when_woken(), "b");
  EXPECT_GT(desk.now, start + 60s);
  EXPECT_EQ(desk.pass(), "");
}

TEST(Reload, WhoWaitsForAModelKeepsItsLimitsIfItsAccountIsGone) {
  const BudgetLimits model = test::limited(Scope::model, "up/m", {{Meter::requests, 1}});
  Desk desk(all_of({account({}), model}));
  for (const char* name : {"a", "b", "c"}) desk.submit(name, {.model = "up/m"});
  EXPECT_EQ(desk.pass(), "a");
  desk.reconfigure(all_of({account({}, "other")}));
  EXPECT_EQ(desk.pass(), "");
  desk.reconfigure(all_of({account({})}));
  EXPECT_EQ(desk.pass(), "b c") << "its account is there, and limits it no more";
}

TEST(Reload, WhoWaitsForAnAccountOfItsOwnKeepsTheLimitsOfWhatItWasLike) {
  Desk desk(all_of({account({{Meter::requests, 1}})}));
  desk.scheduler.budget_like("up@a", desk.scheduler.budget(Scope::account, "up"));
  for (const char* name : {"a", "b"}) desk.submit(name, {.account = "up@a"});
  EXPECT_EQ(desk.pass(), "a");
  desk.reconfigure(all_of({}));
  EXPECT_EQ(desk.pass(), "");
}

TEST(Reload, LimitsThatAreNewOrHigherAreSpentTooAfterAStartWithoutKnowledge) {
  Desk desk(all_of({account({{Meter::requests, 2}})}));
  desk.scheduler.assume_spent(start + 10s, start);
  desk.now = start + 1s;
  desk.reconfigure(all_of({account({{Meter::requests, 5}, {Meter::tokens, 100}})}));
  EXPECT_EQ(desk.used(Meter::requests), 5);
  EXPECT_EQ(desk.used(Meter::tokens), 100);
  desk.submit("a", {});
  EXPECT_EQ(desk.pass_when_woken(), "a");
  EXPECT_GE(desk.now, start + 10s);
  EXPECT_LT(desk.now, start + 10s + 100ms);
}

}  // namespace
}  // namespace weir::admission
