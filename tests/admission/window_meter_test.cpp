// One limit over one sliding window.
#include "admission/window_meter.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <random>
#include <vector>

#include "support/seed.hpp"

namespace weir::admission {
namespace {

Spread spread;  // laid out anew for each

using namespace std::chrono_literals;

const Instant start = Instant(640h);

WindowLimit limited(std::optional<Tokens> limit) {
  WindowLimit made;
  made.limit = limit;
  return made;
}

// Sends if there is room; otherwise when to ask again.
std::optional<Instant> send(WindowMeter& meter, Tokens amount, Instant now) {
  meter.advance(now);
  if (const auto when = meter.blocked(amount, nullptr, spread, now)) return when;
  meter.reserve(amount);
  meter.send(amount, now);
  return std::nullopt;
}

Outlook evenly(Tokens amount, Instant now, Duration length) {
  return {amount, now, now, now + length, false};
}

TEST(WindowMeter, FillsToTheVeryLimitAndNoFurther) {
  WindowMeter meter(limited(100));
  EXPECT_FALSE(send(meter, 60, start));
  EXPECT_FALSE(send(meter, 40, start));
  EXPECT_TRUE(send(meter, 1, start));
  EXPECT_EQ(meter.used(), 100);
}

TEST(WindowMeter, NamesTheInstantAtWhichThereWillBeRoom) {
  WindowMeter meter(limited(100));
  send(meter, 60, start);
  send(meter, 40, start + 10s);
  const auto small = send(meter, 60, start + 20s);
  const auto large = send(meter, 61, start + 20s);
  ASSERT_TRUE(small && large);
  EXPECT_EQ(*small, meter.log().leaves_after(start));
  EXPECT_EQ(*large, meter.log().leaves_after(start + 10s));
  EXPECT_TRUE(send(meter, 60, *small - 1ns));
  EXPECT_FALSE(send(meter, 60, *small));
}

TEST(WindowMeter, TheGuardIsPartOfTheWindow) {
  WindowLimit limit = limited(100);
  limit.guard = 500ms;
  WindowMeter meter(limit);
  send(meter, 100, start);
  EXPECT_TRUE(send(meter, 1, start + 60s + 500ms));
  EXPECT_FALSE(send(meter, 1, start + 60s + 510ms));
}

TEST(WindowMeter, AGuardIsAtMostHalfAWindow) {
  WindowLimit limit = limited(100);
  limit.window = 100ms;
  limit.guard = 1s;
  WindowMeter meter(limit);
  send(meter, 100, start);
  EXPECT_TRUE(send(meter, 1, start + 150ms));
  EXPECT_FALSE(send(meter, 1, start + 152ms));
}

TEST(WindowMeter, AReservationTakesRoomUntilItIsReleased) {
  WindowMeter meter(limited(100));
  meter.advance(start);
  meter.reserve(80);
  EXPECT_TRUE(meter.blocked(21, nullptr, spread, start));
  EXPECT_FALSE(meter.blocked(20, nullptr, spread, start));
  meter.release(80);
  EXPECT_FALSE(meter.blocked(100, nullptr, spread, start));
  EXPECT_EQ(meter.reserved(), 0);
}

TEST(WindowMeter, CountsFromTheSendingAndNotFromTheReservation) {
  WindowMeter meter(limited(100));
  meter.advance(start);
  meter.reserve(100);
  meter.advance(start + 30s);
  meter.send(100, start + 30s);
  EXPECT_TRUE(send(meter, 1, start + 61s));
  EXPECT_FALSE(send(meter, 1, start + 91s));
}

TEST(WindowMeter, IsAskedAgainLaterThanNow) {
  WindowMeter meter(limited(100));
  meter.advance(start);
  meter.reserve(100);  // nothing is charged: no entry will ever leave
  const auto when = meter.blocked(1, nullptr, spread, start);
  ASSERT_TRUE(when);
  EXPECT_GT(*when, start);
}

TEST(WindowMeter, WithoutALimitEverythingPassesAndIsRemembered) {
  WindowMeter meter(limited(std::nullopt));
  for (int i = 0; i < 1'000; ++i) EXPECT_FALSE(send(meter, 1'000'000, start + i * 10ms));
  EXPECT_EQ(meter.used(), 1'000'000'000);
  EXPECT_LE(meter.log().entries().size(), 64u + 2u);
}

TEST(WindowMeter, RemembersAtMostItsSlots) {
  WindowMeter meter(limited(1'000'000'000));
  for (int i = 0; i < 100'000; ++i) send(meter, 1, start + i * 2ms);
  EXPECT_LE(meter.log().entries().size(), 8'192u * 11 / 10);
}

// --- What is larger than the limit ---

TEST(WindowMeter, LargerThanTheLimitRunsAloneAndLeavesADebt) {
  WindowMeter meter(limited(100));
  EXPECT_FALSE(send(meter, 250, start));
  EXPECT_EQ(meter.used(), 250);
  EXPECT_EQ(meter.debt(), 150);
  for (const Duration after : {1s, 60s, 61s, 119s, 121s, 150s})
    EXPECT_TRUE(send(meter, 51, start + after)) << after.count();
  meter.advance(start + 121s);
  EXPECT_EQ(meter.debt(), 0);
  EXPECT_EQ(meter.used(), 50);
  EXPECT_FALSE(send(meter, 50, start + 121s));
}

TEST(WindowMeter, LargerThanTheLimitWaitsForAnEmptyWindow) {
  WindowMeter meter(limited(100));
  send(meter, 1, start);
  const auto when = send(meter, 101, start + 10s);
  ASSERT_TRUE(when);
  EXPECT_EQ(*when, meter.log().leaves_after(start));
  EXPECT_FALSE(send(meter, 101, *when));
}

TEST(WindowMeter, ADebtIsPaidWindowByWindowWhileNobodyLooks) {
  WindowMeter meter(limited(100));
  send(meter, 350, start);
  meter.advance(start + 24h);
  EXPECT_EQ(meter.used(), 0);
  EXPECT_EQ(meter.debt(), 0);
  EXPECT_FALSE(send(meter, 100, start + 24h));
  EXPECT_TRUE(send(meter, 1, start + 24h));
}

// What left the window while a debt fell due was taken out of the forecast a moment too late: it made room that was not
// there, for two windows.
TEST(WindowMeter, ADebtFallingDueDoesNotDisturbTheForecast) {
  WindowMeter meter(limited(100));
  send(meter, 150, start);
  for (Duration after = 63s; after < 300s; after += 1s) {
    if (after > 118s && after < 122s) continue;  // then the rest leaves
    const Instant now = start + after;
    meter.advance(now);
    const Tokens used = after < 121s ? 50 : 0;
    ASSERT_EQ(meter.used(), used);
    meter.reserve(1);  // an idle meter takes anything
    const Outlook fits = evenly(99 - used, now, 500ms), more = evenly(100 - used, now, 500ms);
    ASSERT_FALSE(meter.blocked(0, &fits, spread, now)) << after.count();
    ASSERT_TRUE(meter.blocked(0, &more, spread, now)) << after.count();
    meter.release(1);
  }
}

TEST(WindowMeter, AChargeAlwaysSucceedsAndDelaysTheNext) {
  WindowMeter meter(limited(100));
  send(meter, 90, start);
  meter.charge(50, start);
  EXPECT_EQ(meter.debt(), 40);
  EXPECT_TRUE(send(meter, 1, start + 59s));
  EXPECT_FALSE(send(meter, 100, start + 61s));
}

// --- Corrections ---

TEST(WindowMeter, ARefundIsBookedInTheWindowOfItsCharge) {
  WindowMeter meter(limited(100));
  send(meter, 60, start);
  send(meter, 40, start + 30s);
  meter.advance(start + 31s);
  meter.correct(start + 30s, -25, start + 31s);
  EXPECT_EQ(meter.used(), 75);
  EXPECT_FALSE(send(meter, 25, start + 31s));
  meter.advance(start + 60s + 100ms);  // the first has left; had the refund been taken from it, 40 would be left here
  EXPECT_EQ(meter.used(), 40);
}

TEST(WindowMeter, ALateCorrectionChangesNothing) {
  WindowMeter meter(limited(100));
  send(meter, 60, start);
  send(meter, 40, start + 30s);
  meter.advance(start + 70s);
  meter.correct(start, -60, start + 70s);
  EXPECT_EQ(meter.used(), 40);
  meter.correct(start, 60, start + 70s);
  EXPECT_EQ(meter.used(), 40);
}

TEST(WindowMeter, ACorrectionUpwardsCountsUntilItsChargeLeaves) {
  WindowMeter meter(limited(100));
  send(meter, 60, start);
  meter.correct(start, 30, start + 10s);
  EXPECT_EQ(meter.used(), 90);
  EXPECT_TRUE(send(meter, 11, start + 59s));
  EXPECT_FALSE(send(meter, 100, start + 61s));
}

// --- Forecasts ---

TEST(WindowMeter, AForecastTakesRoomLikeACharge) {
  WindowMeter meter(limited(100));
  send(meter, 50, start);
  const Outlook running = evenly(40, start, 5s);
  meter.plan(running, spread);
  EXPECT_TRUE(meter.blocked(11, nullptr, spread, start));
  EXPECT_FALSE(meter.blocked(10, nullptr, spread, start));
  const Outlook later = evenly(10, start, 5s);
  EXPECT_TRUE(meter.blocked(1, &later, spread, start));
  EXPECT_FALSE(meter.blocked(0, &later, spread, start));
  meter.unplan(running, spread);
  EXPECT_FALSE(meter.blocked(50, nullptr, spread, start));
  EXPECT_EQ(meter.reserved(), 0);
}

TEST(WindowMeter, WhatWillHaveLeftTakesNoRoomFromWhatComesLater) {
  WindowMeter meter(limited(100));
  send(meter, 90, start);
  meter.advance(start + 55s);
  const Instant now = start + 55s;
  const Outlook soon = evenly(90, now, 2s);
  EXPECT_TRUE(meter.blocked(0, &soon, spread, now));
  const Outlook slow{90, now, now + 8s, now + 30s, false};
  EXPECT_FALSE(meter.blocked(0, &slow, spread, now));
  EXPECT_FALSE(meter.blocked(10, &slow, spread, now));
  EXPECT_TRUE(meter.blocked(11, &slow, spread, now));
}

// Both happen within a 64th of the window, and the provider may see the tokens first.
TEST(WindowMeter, WhatLeavesSoonMakesNoRoomForWhatComesMeanwhile) {
  WindowMeter meter(limited(1'000));
  ASSERT_FALSE(send(meter, 900, start));
  const Instant now = meter.log().leaves_after(start) - 10ms;
  meter.advance(now);
  EXPECT_FALSE(meter.blocked(95, nullptr, spread, now));
  meter.plan(evenly(700, now, 10s), spread);
  EXPECT_TRUE(meter.blocked(95, nullptr, spread, now));
  const Instant after = now + 2s;
  meter.advance(after);
  EXPECT_FALSE(meter.blocked(95, nullptr, spread, after));
}

TEST(WindowMeter, AForecastIsLookedAtAgainABinLater) {
  WindowMeter meter(limited(100));
  meter.advance(start);
  const Outlook all = evenly(100, start, 5s);
  meter.plan(all, spread);
  const auto when = meter.blocked(1, nullptr, spread, start);
  ASSERT_TRUE(when);
  EXPECT_GT(*when, start);
  EXPECT_LE(*when, start + 1s);
}

TEST(WindowMeter, AnIdleMeterTakesAForecastOfAnySize) {
  WindowMeter meter(limited(100));
  meter.advance(start);
  const Outlook huge = evenly(1'000, start, 5s);
  EXPECT_FALSE(meter.blocked(10, &huge, spread, start));
  meter.plan(huge, spread);
  EXPECT_TRUE(meter.blocked(1, nullptr, spread, start));
}

// --- Burst and pacing ---

TEST(WindowMeter, ABurstIsWhatMayPassAtOnceAboveTheEvenRate) {
  WindowLimit limit = limited(600);  // 10 a second
  limit.burst = 100;
  limit.guard = 0ms;
  WindowMeter meter(limit);
  int passed = 0;
  while (!send(meter, 1, start)) ++passed;
  EXPECT_EQ(passed, 100);
  const auto when = send(meter, 1, start);
  ASSERT_TRUE(when);
  EXPECT_EQ(*when, start + 100ms);
  EXPECT_FALSE(send(meter, 1, *when));
  EXPECT_FALSE(send(meter, 10, start + 1'100ms));
  EXPECT_TRUE(send(meter, 1, start + 1'100ms));
}

TEST(WindowMeter, LargerThanTheBurstWaitsForTheEvenRateToCatchUp) {
  WindowLimit limit = limited(600);
  limit.burst = 50;
  limit.guard = 0ms;
  WindowMeter meter(limit);
  EXPECT_FALSE(send(meter, 200, start));  // at rest: goes, and is paid for by 20 s of silence
  EXPECT_TRUE(send(meter, 1, start + 15s));
  EXPECT_FALSE(send(meter, 1, start + 15'100ms));
  const auto when = send(meter, 200, start + 16s);
  ASSERT_TRUE(when);
  EXPECT_FALSE(send(meter, 200, *when));
}

TEST(WindowMeter, ABurstLeavesRoomForAWayThatVaries) {
  WindowLimit limit = limited(600);
  limit.burst = 100;
  limit.guard = 200ms;  // two tokens' time
  WindowMeter meter(limit);
  int passed = 0;
  while (!send(meter, 1, start)) ++passed;
  EXPECT_EQ(passed, 98);
}

TEST(WindowMeter, WhatIsOnItsWayCountsInTheBurstUntilItIsSent) {
  WindowLimit limit = limited(600);
  limit.burst = 100;
  limit.guard = 0ms;
  WindowMeter meter(limit);
  meter.advance(start);
  meter.reserve(60);
  meter.advance(start + 5s);  // 50 tokens' time, and it has not been sent yet
  EXPECT_FALSE(meter.blocked(40, nullptr, spread, start + 5s));
  const auto when = meter.blocked(41, nullptr, spread, start + 5s);
  ASSERT_TRUE(when);
  EXPECT_GT(*when, start + 5s);
  meter.send(60, start + 5s);
  EXPECT_TRUE(meter.blocked(41, nullptr, spread, start + 5s));
  meter.advance(start + 5'100ms);
  EXPECT_FALSE(meter.blocked(41, nullptr, spread, start + 5'100ms));
}

TEST(WindowMeter, WhatIsChargedLaterCountsInTheBurst) {
  WindowLimit limit = limited(600);
  limit.burst = 100;
  limit.guard = 0ms;
  WindowMeter meter(limit);
  meter.advance(start);
  meter.charge(60, start);
  EXPECT_FALSE(meter.blocked(40, nullptr, spread, start));
  EXPECT_EQ(meter.blocked(41, nullptr, spread, start), start + 100ms);
}

TEST(WindowMeter, ABurstIsRestoredWithItsCharges) {
  WindowLimit limit = limited(600);
  limit.burst = 100;
  limit.guard = 0ms;
  WindowMeter before(limit), after(limit);
  ASSERT_FALSE(send(before, 90, start));
  const Instant now = start + 2s;  // 20 tokens' time
  before.advance(now);
  after.advance(now);
  for (const WindowLog::Entry& entry : before.log().entries()) after.restore(entry.leaves, entry.amount);
  EXPECT_FALSE(after.blocked(29, nullptr, spread, now));
  EXPECT_TRUE(after.blocked(31, nullptr, spread, now));
}

TEST(WindowMeter, AReleasedReservationGivesTheBurstBack) {
  WindowLimit limit = limited(600);
  limit.burst = 100;
  limit.guard = 0ms;
  WindowMeter meter(limit);
  meter.advance(start);
  send(meter, 1, start);
  meter.reserve(99);
  EXPECT_TRUE(meter.blocked(1, nullptr, spread, start));
  meter.release(99);
  EXPECT_FALSE(meter.blocked(99, nullptr, spread, start));
}

TEST(WindowMeter, PacingHoldsInEverySlice) {
  WindowLimit limit = limited(6'000);
  limit.pacing = 1s;  // 100 a second
  WindowMeter meter(limit);
  std::deque<Instant> sent;
  for (Instant now = start; now < start + 10s; now += 5ms) {
    while (!send(meter, 7, now)) sent.push_back(now);
    while (!sent.empty() && sent.front() <= now - 1s - 50ms) sent.pop_front();
    ASSERT_LE(sent.size() * 7, 100u);
  }
  EXPECT_GE(meter.used(), 10 * 98 * 1000 / 1060 - 98);
}

TEST(WindowMeter, LargerThanASliceIsPaidSliceBySlice) {
  WindowLimit limit = limited(6'000);
  limit.pacing = 1s;
  WindowMeter meter(limit);
  EXPECT_FALSE(send(meter, 350, start));
  EXPECT_TRUE(send(meter, 100, start + 3s));
  EXPECT_FALSE(send(meter, 50, start + 3'500ms));
  EXPECT_FALSE(send(meter, 100, start + 5s));
}

TEST(WindowMeter, ASliceGetsItsPartOfTheLimitWhereItIsNoWholePartOfTheWindow) {
  WindowLimit limit = limited(60);
  limit.pacing = 40s;
  WindowMeter meter(limit);
  EXPECT_FALSE(send(meter, 40, start));
  EXPECT_TRUE(send(meter, 1, start));
}

TEST(WindowMeter, WhatDidNotArriveIsOnItsWayAgain) {
  WindowMeter meter(limited(100));
  send(meter, 60, start);
  send(meter, 40, start);
  meter.advance(start + 2s);
  meter.unsend(60, start, start + 2s);
  EXPECT_EQ(meter.used(), 40);
  EXPECT_TRUE(send(meter, 1, start + 2s));
  meter.advance(start + 61s);
  EXPECT_TRUE(send(meter, 41, start + 61s));  // however long it takes
  meter.send(60, start + 61s);
  EXPECT_FALSE(send(meter, 40, start + 61s));
  EXPECT_TRUE(send(meter, 1, start + 121s));
}

TEST(WindowMeter, WhatDidNotArriveGivesItsSlicesBack) {
  WindowLimit limit = limited(6'000);
  limit.pacing = 1s;  // 100
  WindowMeter meter(limit);
  EXPECT_FALSE(send(meter, 1, start - 2s));  // or it would be idle, and take anything
  EXPECT_FALSE(send(meter, 3'000, start));
  meter.advance(start + 10ms);
  meter.unsend(3'000, start, start + 10ms);
  EXPECT_TRUE(send(meter, 1, start + 10ms)) << "it is on its way again";
  meter.release(3'000);
  EXPECT_FALSE(send(meter, 100, start + 10ms));
  EXPECT_TRUE(send(meter, 1, start + 10ms));
}

TEST(WindowMeter, WhatDidNotArriveGivesTheEvenRateBack) {
  WindowLimit limit = limited(600);  // 10 a second
  limit.burst = 100;
  limit.guard = 0ms;
  WindowMeter meter(limit);
  EXPECT_FALSE(send(meter, 40, start));
  EXPECT_FALSE(send(meter, 60, start));
  meter.advance(start + 10ms);
  meter.unsend(60, start, start + 10ms);
  meter.release(60);
  EXPECT_FALSE(send(meter, 59, start + 10ms));
  EXPECT_TRUE(send(meter, 3, start + 10ms));
}

// Six of the 60 tokens' seconds have passed by themselves, and others have taken turns since.
TEST(WindowMeter, TheEvenRateIsNotGivenBackTwice) {
  WindowLimit limit = limited(600);
  limit.burst = 100;
  limit.guard = 0ms;
  WindowMeter meter(limit);
  EXPECT_FALSE(send(meter, 60, start));
  EXPECT_FALSE(send(meter, 100, start + 6s));
  meter.unsend(60, start, start + 6s);
  meter.release(60);
  EXPECT_TRUE(send(meter, 3, start + 6s));
}

// A call larger than the limit: what it owes has been given back already.
TEST(WindowMeter, WhatDidNotArriveOwesTheEvenRateNothing) {
  WindowLimit limit = limited(600);
  limit.burst = 100;
  limit.guard = 0ms;
  WindowMeter meter(limit);
  EXPECT_FALSE(send(meter, 2'000, start));
  meter.unsend(2'000, start, start);
  meter.release(2'000);
  EXPECT_EQ(meter.used(), 0);
  EXPECT_FALSE(send(meter, 1, start));
  EXPECT_FALSE(send(meter, 99, start));
  EXPECT_TRUE(send(meter, 3, start));
}

TEST(WindowMeter, PacingCountsWhatIsReserved) {
  WindowLimit limit = limited(6'000);
  limit.pacing = 1s;
  WindowMeter meter(limit);
  meter.advance(start);
  meter.reserve(100);
  const auto when = meter.blocked(1, nullptr, spread, start);
  ASSERT_TRUE(when);
  EXPECT_GT(*when, start);
}

// --- Changes ---

TEST(WindowMeter, ANewLimitKeepsWhatIsSpent) {
  WindowMeter meter(limited(100));
  send(meter, 90, start);
  meter.configure(limited(80), start + 1s);
  EXPECT_EQ(meter.used(), 90);
  EXPECT_EQ(meter.debt(), 10);
  EXPECT_TRUE(send(meter, 1, start + 2s));
  meter.configure(limited(200), start + 3s);
  EXPECT_FALSE(send(meter, 110, start + 3s));
  EXPECT_TRUE(send(meter, 1, start + 3s));
}

TEST(WindowMeter, UnlimitedAndBackKeepsWhatWasSpentMeanwhile) {
  WindowMeter meter(limited(100));
  send(meter, 50, start);
  meter.configure(limited(std::nullopt), start + 1s);
  send(meter, 1'000, start + 2s);
  meter.configure(limited(100), start + 3s);
  EXPECT_EQ(meter.used(), 1'050);
  EXPECT_TRUE(send(meter, 1, start + 62s));
  EXPECT_FALSE(send(meter, 100, start + 64s));
}

// Its slots were minutes long, and its charges would leave long after all that the forecast looks at.
TEST(WindowMeter, AForecastHoldsAllThatADayWithoutALimitLeftBehind) {
  WindowLimit day = limited(std::nullopt);
  day.window = 24h;
  WindowMeter meter(day);
  send(meter, 50, start);
  WindowLimit second = limited(100);
  second.window = 1s;
  meter.configure(second, start + 100ms);
  // Forty are under way and forty are asked for: with the fifty they are too much.
  meter.plan({40, start + 100ms, start + 600ms, start + 600ms}, spread);
  const Outlook next{40, start + 100ms, start + 700ms, start + 700ms};
  EXPECT_TRUE(meter.blocked(0, &next, spread, start + 100ms));
  meter.advance(start + 3s);
  EXPECT_EQ(meter.used(), 0);
}

TEST(WindowMeter, AForecastIsMadeAgainAfterAChange) {
  WindowMeter meter(limited(100));
  send(meter, 60, start);
  meter.plan(evenly(30, start, 10s), spread);
  meter.configure(limited(200), start + 1s);
  EXPECT_EQ(meter.reserved(), 0);
  const Outlook slow{100, start + 1s, start + 61s, start + 63s, false};  // the 60 will have left
  EXPECT_FALSE(meter.blocked(140, &slow, spread, start + 1s));
}

TEST(WindowMeter, AChangeKeepsWhatLeavesInTheForecast) {
  WindowMeter meter(limited(100));
  send(meter, 90, start);
  meter.configure(limited(110), start + 10s);
  const Outlook slow{90, start + 10s, start + 62s, start + 68s, false};  // the other 90 will have left
  EXPECT_FALSE(meter.blocked(20, &slow, spread, start + 10s));
  EXPECT_TRUE(meter.blocked(21, &slow, spread, start + 10s));
}

TEST(WindowMeter, AReservationOutlivesAChange) {
  WindowMeter meter(limited(100));
  meter.advance(start);
  meter.reserve(60);
  meter.configure(limited(100), start + 1s);
  EXPECT_TRUE(meter.blocked(41, nullptr, spread, start + 1s));
  meter.send(60, start + 1s);
  EXPECT_EQ(meter.used(), 60);
}

// Slots become wider without a limit: a correction finds no entry of its instant, and takes from the one before.
TEST(WindowMeter, ACorrectionAfterAChangeKeepsTheForecastRight) {
  WindowMeter meter(limited(100));
  send(meter, 10, start);
  send(meter, 50, start + 20s + 1ms);
  meter.configure(limited(std::nullopt), start + 21s);
  meter.configure(limited(100), start + 22s);
  meter.correct(start + 25s, -50, start + 26s);
  EXPECT_EQ(meter.used(), 10);
  meter.advance(start + 82s);
  meter.reserve(1);
  const Outlook fits = evenly(99, start + 82s, 500ms), more = evenly(100, start + 82s, 500ms);
  EXPECT_FALSE(meter.blocked(0, &fits, spread, start + 82s));
  EXPECT_TRUE(meter.blocked(0, &more, spread, start + 82s));
}

TEST(WindowMeter, PacingStartsAndEndsWithTheSetting) {
  WindowMeter meter(limited(6'000));
  WindowLimit paced = limited(6'000);
  paced.pacing = 1s;
  meter.configure(paced, start);
  send(meter, 100, start);
  EXPECT_TRUE(send(meter, 1, start));
  meter.configure(limited(6'000), start);
  EXPECT_FALSE(send(meter, 5'900, start));
}

TEST(WindowMeter, SpentByAssumptionUntilThen) {
  WindowMeter meter(limited(100));
  meter.advance(start);
  meter.assume_spent(start + 10s);
  EXPECT_TRUE(send(meter, 1, start + 9'999ms));
  EXPECT_FALSE(send(meter, 100, start + 10s));
}

// --- Predictions ---

TEST(WindowMeter, PredictsNowWhenThereIsRoom) {
  WindowMeter meter(limited(100));
  meter.advance(start);
  EXPECT_EQ(meter.predict(0, 500, start), start);  // idle takes anything
  send(meter, 40, start);
  EXPECT_EQ(meter.predict(60, 0, start), start);
}

TEST(WindowMeter, PredictsWhenEnoughHasLeftAndThenTheSameAgain) {
  WindowMeter meter(limited(600));
  send(meter, 300, start);
  send(meter, 300, start + 30s);
  meter.advance(start + 30s);
  const Instant now = start + 30s;
  EXPECT_EQ(meter.predict(300, 0, now), meter.log().leaves_after(start));
  EXPECT_EQ(meter.predict(600, 0, now), meter.log().leaves_after(start + 30s));
  const Instant first = meter.log().leaves_after(start), second = meter.log().leaves_after(start + 30s);
  EXPECT_EQ(meter.predict(601, 0, now), meter.log().leaves_after(first));
  EXPECT_EQ(meter.predict(900, 0, now), meter.log().leaves_after(first));
  EXPECT_EQ(meter.predict(1'200, 0, now), meter.log().leaves_after(second));
  EXPECT_EQ(meter.predict(1'201, 0, now), meter.log().leaves_after(meter.log().leaves_after(first)));
}

TEST(WindowMeter, PredictsBehindWhatIsReserved) {
  WindowMeter meter(limited(600));
  send(meter, 300, start);
  meter.reserve(300);
  EXPECT_EQ(meter.predict(1, 0, start), meter.log().leaves_after(start));
}

TEST(WindowMeter, CanCountADayAndABillion) {
  WindowLimit day = limited(1'000'000'000);
  day.window = 24h;
  WindowMeter meter(day);
  send(meter, 1'000'000'000, start);
  Instant third = start;
  for (int i = 0; i < 3; ++i) third = meter.log().leaves_after(third);
  EXPECT_EQ(meter.predict(3'000'000'000, 0, start), third);
}

TEST(WindowMeter, PredictsWhatGoesNowAsGoneInOneWindow) {
  WindowMeter meter(limited(600));
  send(meter, 200, start);
  meter.advance(start + 30s);
  const Instant now = start + 30s;
  EXPECT_EQ(meter.predict(500, 100, now), meter.log().leaves_after(start));
  EXPECT_EQ(meter.predict(500, 101, now), meter.log().leaves_after(now));
  EXPECT_EQ(meter.predict(900, 101, now), meter.log().leaves_after(meter.log().leaves_after(start)));
}

// Alone, when nothing else is there.
TEST(WindowMeter, PredictsWhatIsLargerThanTheLimitWhenItIsEmpty) {
  WindowMeter meter(limited(600));
  send(meter, 100, start);
  send(meter, 100, start + 20s);
  meter.advance(start + 30s);
  const Instant now = start + 30s;
  EXPECT_EQ(meter.predict(0, 5'000, now), meter.empty_at());
  EXPECT_TRUE(send(meter, 5'000, meter.empty_at() - 1ns)) << "blocked";
  EXPECT_FALSE(send(meter, 5'000, meter.empty_at()));
}

TEST(WindowMeter, PredictsBehindWhatIsOwed) {
  WindowMeter meter(limited(600));
  ASSERT_FALSE(send(meter, 2'000, start));  // 600 now, and 600, 600, 200 in the windows to come
  const auto paid = [&](int windows) { return meter.log().leaves_after(start + windows * 60s); };
  EXPECT_EQ(meter.empty_at(), paid(3));
  EXPECT_EQ(meter.predict(0, 1, start), paid(2));
  EXPECT_EQ(meter.predict(0, 400, start), paid(2));
  EXPECT_EQ(meter.predict(0, 401, start), paid(3));
  EXPECT_EQ(meter.predict(600, 1, start), meter.log().leaves_after(paid(2)));
  EXPECT_TRUE(send(meter, 400, paid(2) - 1ns)) << "blocked";
  EXPECT_FALSE(send(meter, 400, paid(2)));
  EXPECT_EQ(meter.empty_at(), meter.log().leaves_after(paid(2)));
}

TEST(WindowMeter, ALongerWindowPutsOffWhatIsOwed) {
  WindowMeter meter(limited(600));
  ASSERT_FALSE(send(meter, 2'000, start));  // 600 now, and 600, 600, 200 in the windows to come
  WindowLimit longer = limited(600);
  longer.window = 120s;
  meter.configure(longer, start + 1s);
  EXPECT_EQ(meter.empty_at(), meter.log().leaves_after(start + 3 * 120s));
}

// Beside a queue that is let through in fact.
TEST(WindowMeter, PredictsWhenEachOfAQueueGoes) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 200; ++round) {
    WindowMeter meter(limited(100));
    Instant now = start;
    for (int i = 0; i < 5; ++i) {
      send(meter, static_cast<Tokens>(random() % 50) + 1, now);
      now += std::chrono::milliseconds(random() % 20'000);
      meter.advance(now);
    }
    if (round % 3 == 0 && !meter.idle()) meter.restore_debt(now + 5s, static_cast<Tokens>(random() % 400) + 1);
    const auto size = static_cast<Tokens>(random() % 2 == 0 ? 1 : 10);
    std::vector<Instant> predicted;
    for (Tokens ahead = 0; ahead < 400; ahead += size) predicted.push_back(meter.predict(ahead, size, now));
    for (const Instant when : predicted) {
      while (const auto blocked = meter.blocked(size, nullptr, spread, now)) meter.advance(now = *blocked);
      const double late = std::chrono::duration<double>(now - when).count();
      ASSERT_GT(late, -0.3) << round << ": the parts of a debt are a window apart, without the guard";
      // Large ones leave room that they do not fit in.
      ASSERT_LT(size == 1 ? late : 0, 0.1) << round;
      meter.reserve(size);
      meter.send(size, now);
    }
  }
}

// A queue of calls of that size beside what was predicted for each: how late or early they go, in seconds.
struct Lateness {
  double least = 0, most = 0;
};

Lateness lateness_of_a_queue(WindowMeter& meter, Tokens all, Tokens size, Instant now) {
  std::vector<Instant> predicted;
  for (Tokens ahead = 0; ahead < all; ahead += size) predicted.push_back(meter.predict(ahead, size, now));
  Lateness lateness;
  for (const Instant when : predicted) {
    while (const auto blocked = meter.blocked(size, nullptr, spread, now)) meter.advance(now = *blocked);
    const double late = std::chrono::duration<double>(now - when).count();
    lateness.least = std::min(lateness.least, late);
    lateness.most = std::max(lateness.most, late);
    meter.reserve(size);
    meter.send(size, now);
  }
  return lateness;
}

TEST(WindowMeter, PredictsCallsOfABurstAndThenAtTheEvenRate) {
  for (const Tokens size : {1, 7, 60}) {  // the last is larger than the burst
    WindowLimit limit = limited(600);
    limit.burst = 50;
    WindowMeter meter(limit);
    send(meter, 30, start);
    const Lateness lateness = lateness_of_a_queue(meter, 560, size, start);
    EXPECT_GT(lateness.least, -0.1) << size;
    EXPECT_LT(lateness.most, 0.1) << size;
  }
}

TEST(WindowMeter, PredictsBehindWhatIsReservedOfABurst) {
  WindowLimit limit = limited(600);
  limit.burst = 50;
  WindowMeter meter(limit);
  send(meter, 30, start);
  const Instant before = meter.predict(0, 20, start);
  meter.reserve(10);
  EXPECT_EQ(meter.predict(0, 20, start), before + 1s);
}

TEST(WindowMeter, PredictsPacedCallsSliceBySlice) {
  for (const Tokens size : {1, 10}) {
    WindowLimit limit = limited(600);
    limit.pacing = 1s;
    WindowMeter meter(limit);
    send(meter, 4, start - 500ms);
    meter.advance(start);
    meter.reserve(2);
    meter.send(2, start);
    const Lateness lateness = lateness_of_a_queue(meter, 1'200, size, start);
    EXPECT_GT(lateness.least, -0.3) << size;
    EXPECT_LT(lateness.most, size == 1 ? 0.1 : 1.1) << size << ": those of a whole slice wait for an empty one";
  }
}

TEST(WindowMeter, PredictsWhatIsLargerThanASliceWhenItIsEmptyAndWhatItOwesBeforeOthers) {
  WindowLimit limit = limited(600);
  limit.pacing = 1s;
  WindowMeter meter(limit);
  send(meter, 5, start);
  const Instant empty = meter.predict(0, 35, start);
  EXPECT_NEAR(std::chrono::duration<double>(empty - start).count(), 1.05, 0.01);
  ASSERT_FALSE(send(meter, 35, empty));  // 10 now, and 10, 10, 5 in the seconds to come
  EXPECT_NEAR(std::chrono::duration<double>(meter.predict(0, 5, empty) - empty).count(), 3.05, 0.02);
  EXPECT_NEAR(std::chrono::duration<double>(meter.predict(0, 6, empty) - empty).count(), 4.05, 0.02);
}

TEST(WindowMeter, PredictsSlicesByWhatIsChargedOnArrival) {
  WindowLimit limit = limited(600);
  limit.pacing = 1s;
  WindowMeter meter(limit);
  send(meter, 10, start);
  EXPECT_LT(meter.predict({100, 10}, {10, 1}, start), start + 3s);
  EXPECT_GT(meter.predict({100, 100}, {10, 1}, start), start + 10s);
  EXPECT_EQ(meter.predict({100, 0}, {10, 0}, start), start) << "nothing on arrival: slices do not matter";
}

// --- The guarantee ---

// Class 1 of docs/shaping.md: whatever the pattern of arrival, no window of its length holds more than the limit, also
// after a way to the provider that varies by less than the guard.
TEST(WindowMeter, NoWindowEverHoldsMoreThanTheLimit) {
  const weir::test::Seed seed;
  std::mt19937_64 random(seed.value);
  for (int round = 0; round < 100; ++round) {
    WindowLimit limit = limited(static_cast<Tokens>(10 + random() % 1'000));
    limit.window = std::chrono::milliseconds(500 + random() % 60'000);
    limit.guard = std::chrono::milliseconds(1 + random() % 100);
    if (random() % 4 == 0) limit.burst = *limit.limit / 4 + 1;
    if (random() % 4 == 0) limit.pacing = limit.window / 10;
    WindowMeter meter(limit);
    std::vector<std::pair<Instant, Tokens>> arrived;
    Instant now = start;
    Tokens total = 0;
    const auto guard = std::min(limit.guard, limit.window / 2).count();
    for (int step = 0; step < 1'000; ++step) {
      if (random() % 3 > 0)
        now += Duration(static_cast<Duration::rep>(random() % static_cast<std::uint64_t>(limit.window.count() / 50)));
      const Tokens amount = 1 + static_cast<Tokens>(random() % static_cast<std::uint64_t>(*limit.limit));
      meter.advance(now);
      if (const auto when = meter.blocked(amount, nullptr, spread, now)) {
        ASSERT_GT(*when, now);
        if (random() % 4 == 0) now = *when;
        continue;
      }
      meter.reserve(amount);
      if (random() % 10 == 0) {
        meter.release(amount);
        continue;
      }
      if (random() % 3 == 0) now += std::chrono::milliseconds(random() % 300);
      meter.advance(now);
      meter.send(amount, now);
      total += amount;
      arrived.emplace_back(now + Duration(static_cast<Duration::rep>(random() % static_cast<std::uint64_t>(guard))),
                           amount);
    }
    std::sort(arrived.begin(), arrived.end());
    Tokens sum = 0, largest = 0;
    std::size_t first = 0;
    for (std::size_t i = 0; i < arrived.size(); ++i) {
      sum += arrived[i].second;
      while (arrived[first].first <= arrived[i].first - limit.window) sum -= arrived[first++].second;
      largest = std::max(largest, sum);
    }
    EXPECT_LE(largest, *limit.limit);
    EXPECT_GT(total, 0);
  }
}

}  // namespace
}  // namespace weir::admission
