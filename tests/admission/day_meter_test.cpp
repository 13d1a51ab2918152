// One limit over a calendar day.
#include "admission/day_meter.hpp"

#include <gtest/gtest.h>

namespace weir::admission {
namespace {

using namespace std::chrono_literals;

const Instant start = Instant(10h);
const Instant midnight = start + 2h;

DayMeter limited(std::optional<Tokens> limit, Instant resets = midnight) {
  DayMeter meter;
  meter.configure(limit, resets, 50ms, Instant::min());
  return meter;
}

TEST(DayMeter, StartsAgainOneGuardAfterMidnight) {
  DayMeter meter = limited(100);
  meter.advance(start);
  meter.charge(100, start);
  EXPECT_EQ(meter.blocked(1), midnight + 50ms);
  meter.advance(midnight + 49ms);
  EXPECT_TRUE(meter.blocked(1));
  meter.advance(midnight + 50ms);
  EXPECT_EQ(meter.used(), 0);
  EXPECT_FALSE(meter.blocked(100));
  EXPECT_EQ(meter.resets(), midnight + 24h);
}

TEST(DayMeter, WhatIsChargedJustBeforeMidnightCountsInBothDays) {
  DayMeter meter = limited(100);
  meter.charge(30, midnight - 51ms);
  meter.charge(20, midnight - 50ms);
  meter.charge(10, midnight + 49ms);
  EXPECT_EQ(meter.used(), 60);
  meter.advance(midnight + 50ms);
  EXPECT_EQ(meter.used(), 30);
  meter.advance(midnight + 24h + 50ms);
  EXPECT_EQ(meter.used(), 0);
}

TEST(DayMeter, SleepsThroughSeveralMidnights) {
  DayMeter meter = limited(100);
  meter.charge(100, start);
  meter.advance(midnight + 49h);
  EXPECT_EQ(meter.used(), 0);
  EXPECT_EQ(meter.resets(), midnight + 72h);
}

TEST(DayMeter, ADayEndsWhileAReloadHasTakenItsLimitAway) {
  DayMeter meter = limited(100);
  meter.charge(60, start);
  meter.configure(std::nullopt, never, 50ms, start + 1h);
  EXPECT_EQ(meter.resets(), midnight);
  meter.configure(100, midnight + 24h, 50ms, midnight + 1h);
  EXPECT_EQ(meter.used(), 0);
  EXPECT_FALSE(meter.blocked(100));
}

TEST(DayMeter, ReservedAndUsedTogetherAreTheLimit) {
  DayMeter meter = limited(100);
  meter.reserve(60);
  meter.charge(30, start);
  EXPECT_FALSE(meter.blocked(10));
  EXPECT_TRUE(meter.blocked(11));
  meter.release(60);
  EXPECT_FALSE(meter.blocked(70));
}

TEST(DayMeter, WhatIsExpectedTakesRoomAndIsNotKnown) {
  DayMeter meter = limited(100);
  meter.charge(10, start);
  meter.plan(60);
  EXPECT_EQ(meter.reserved(), 60);
  EXPECT_TRUE(meter.blocked(31));
  EXPECT_EQ(meter.predict(0, 31, Basis::guesses), midnight + 50ms);
  EXPECT_FALSE(meter.predict(40, 50, Basis::knowledge));
  EXPECT_EQ(meter.predict(41, 50, Basis::knowledge), midnight + 50ms);
  meter.unplan(60);
  EXPECT_FALSE(meter.blocked(90));
}

TEST(DayMeter, ThoseAheadMayTakeSeveralDays) {
  DayMeter meter = limited(100);
  meter.charge(300, start);  // larger than a day
  EXPECT_EQ(meter.blocked(1'000), midnight + 50ms);
  EXPECT_EQ(meter.predict(90, 10, Basis::knowledge), midnight + 50ms);
  EXPECT_EQ(meter.predict(91, 10, Basis::knowledge), midnight + 24h + 50ms);
  EXPECT_EQ(meter.predict(290, 10, Basis::guesses), midnight + 48h + 50ms);
}

TEST(DayMeter, ThoseAheadMayTakeSeveralDaysAroundAnotherMidnight) {
  DayMeter meter = limited(100);
  meter.advance(midnight);
  meter.configure(100, midnight + 23h, 50ms, midnight);
  meter.charge(100, midnight);
  EXPECT_EQ(meter.predict(0, 1, Basis::guesses), midnight + 50ms);
  EXPECT_EQ(meter.predict(100, 1, Basis::guesses), midnight + 23h + 50ms);
  EXPECT_EQ(meter.predict(200, 1, Basis::guesses), midnight + 47h + 50ms);
}

TEST(DayMeter, WithoutAMidnightItDoesNotStartAgain) {
  DayMeter meter = limited(100, never);
  meter.charge(100, start);
  meter.advance(start + 1000h);
  EXPECT_EQ(meter.blocked(1), never);
}

TEST(DayMeter, AnUnusedDayTakesAnything) {
  DayMeter meter = limited(100);
  EXPECT_FALSE(meter.blocked(1'000));
  meter.charge(1, start);
  EXPECT_TRUE(meter.blocked(1'000));
}

TEST(DayMeter, WithoutALimitItCounts) {
  DayMeter meter = limited(std::nullopt);
  meter.charge(1'000, start);
  EXPECT_FALSE(meter.blocked(1'000));
  meter.configure(1'500, midnight, 50ms, start);
  EXPECT_TRUE(meter.blocked(501));
  EXPECT_FALSE(meter.blocked(500));
}

TEST(DayMeter, CorrectsWithinTheDayOfTheCharge) {
  DayMeter meter = limited(100);
  meter.charge(80, start);
  meter.correct(start, -30);
  EXPECT_EQ(meter.used(), 50);
  meter.correct(start, -80);
  EXPECT_EQ(meter.used(), 0);
  meter.advance(midnight + 1s);
  meter.charge(40, midnight + 1s);
  meter.correct(start, -30);
  EXPECT_EQ(meter.used(), 40);
  meter.correct(midnight + 1s, 5);
  EXPECT_EQ(meter.used(), 45);
}

TEST(DayMeter, CorrectsWhatWasChargedJustBeforeMidnightInBothDays) {
  for (const Tokens difference : {-15, 15}) {
    DayMeter before = limited(100), after = limited(100);
    for (DayMeter* meter : {&before, &after}) meter->charge(20, midnight - 50ms);
    before.correct(midnight - 50ms, difference);
    EXPECT_EQ(before.used(), 20 + difference);
    before.advance(midnight + 50ms);
    after.advance(midnight + 50ms);
    after.correct(midnight - 50ms, difference);
    EXPECT_EQ(before.used(), 20 + difference);
    EXPECT_EQ(after.used(), 20 + difference);
  }
}

TEST(DayMeter, ACorrectionOfTheOldDayIsNoneOfTheNewOne) {
  DayMeter meter = limited(100);
  meter.charge(30, midnight - 51ms);
  meter.charge(20, midnight - 50ms);
  meter.correct(midnight - 51ms, -30);
  meter.advance(midnight + 50ms);
  EXPECT_EQ(meter.used(), 20);
  meter.correct(midnight - 51ms, -30);
  EXPECT_EQ(meter.used(), 20);
}

TEST(DayMeter, NewSettingsDoNotReviveADayThatIsOver) {
  DayMeter meter = limited(100);
  meter.charge(20, midnight - 10ms);
  meter.configure(50, midnight + 72h, 50ms, midnight + 49h);
  EXPECT_EQ(meter.used(), 0);
  EXPECT_EQ(meter.resets(), midnight + 72h);
}

TEST(DayMeter, AnotherMidnightIsWhatCounts) {
  DayMeter meter = limited(100);
  meter.charge(100, start);
  meter.configure(100, start + 10min, 50ms, start);
  EXPECT_EQ(meter.blocked(1), start + 10min + 50ms);
}

}  // namespace
}  // namespace weir::admission
