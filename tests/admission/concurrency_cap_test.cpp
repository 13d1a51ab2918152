#include "admission/concurrency_cap.hpp"

#include <gtest/gtest.h>

namespace weir::admission {
namespace {

using namespace std::chrono_literals;

const Instant start = Instant(640h);

// A cap under endless demand: `press` asks once with as many calls under way as it allows.
class Cap : public ::testing::Test {
 protected:
  // Asks until it says no; returns how many may be under way then.
  Tokens press(bool ramps = true) {
    while (!(waits_until = cap.blocked(in_flight, ramps, rules, now)) && in_flight < 100'000) {
      ++in_flight;
      cap.admitted();
    }
    return in_flight;
  }
  // So many calls end, and others take their places.
  void turn_over(std::int64_t calls) {
    for (; calls > 0; --calls) {
      --in_flight;
      press();
    }
  }
  void refuse() {
    now += 20ms;
    cap.turned_away(in_flight, now - 20ms, 20ms, rules, now);
    --in_flight;
  }

  LearnRules rules;
  ConcurrencyCap cap;
  Instant now = start;
  Tokens in_flight = 0;
  std::optional<Instant> waits_until;
};

TEST_F(Cap, IsNoneWhereLimitsAreKnown) {
  EXPECT_EQ(press(false), 100'000);
  EXPECT_EQ(cap.limit(in_flight, now), std::nullopt);
}

TEST_F(Cap, IsNoneWhereLearningIsOff) {
  rules.enabled = false;
  EXPECT_EQ(press(), 100'000);
  refuse();
  EXPECT_EQ(cap.limit(in_flight, now), std::nullopt);
}

TEST_F(Cap, StartsAtTheSettingAndRisesByThreeWhenARefusalWouldHaveCome) {
  EXPECT_EQ(press(), 32);
  EXPECT_EQ(waits_until, start + 250ms);
  now += 249ms;
  EXPECT_EQ(press(), 32);
  now += 1ms;
  EXPECT_EQ(press(), 35);
}

TEST_F(Cap, DoesNotRiseForCallsThatDoNotPress) {
  press();
  in_flight = 10;
  now += 1min;
  EXPECT_EQ(cap.blocked(in_flight, true, rules, now), std::nullopt);
  in_flight = 32;
  EXPECT_EQ(cap.limit(31, now), std::nullopt) << "a ramp that nobody presses against is no limit";
  EXPECT_EQ(cap.limit(32, now), 32);
}

TEST_F(Cap, ComesDownOnceForAllThatWereOnTheirWay) {
  while (press() < 62) now += 250ms;
  const Instant admitted = now;
  now += 20ms;
  for (int i = 0; i < 4; ++i) cap.turned_away(in_flight--, admitted, 20ms, rules, now);
  EXPECT_EQ(cap.limit(in_flight, now), 62 * 92 / 100);
  EXPECT_TRUE(cap.learned(now));
  EXPECT_EQ(cap.source(), Source::outcome);
  EXPECT_EQ(cap.until(), now + 10min);
}

TEST_F(Cap, IsRampedUpAfterACallThatWasTurnedAwayAlone) {
  in_flight = 1;
  refuse();
  EXPECT_EQ(press(), 1);
  EXPECT_EQ(waits_until, now + 250ms);
  now += 250ms;
  EXPECT_EQ(press(), 4);
}

TEST_F(Cap, AfterARefusalRisesByCallsNotByTime) {
  while (press() < 62) now += 250ms;
  refuse();
  in_flight = 57;
  now += 1min;
  EXPECT_EQ(press(), 57);
  EXPECT_EQ(waits_until, never);
  turn_over(429);
  now += 1s;
  EXPECT_EQ(press(), 57);
  turn_over(1);
  now += 1s;
  EXPECT_EQ(press(), 58);
  turn_over(344);
  now += 1s;
  EXPECT_EQ(press(), 59) << "the next one comes sooner";
}

TEST_F(Cap, MeetsALimitThatStaysAboutOnceInAThousandCalls) {
  for (const Tokens limit : {1, 2, 5, 20, 50}) {
    cap.forget();
    in_flight = limit + 1;
    refuse();
    std::int64_t calls = 0;
    for (int refusals = 0; refusals < 5;) {
      now += 300ms;
      in_flight -= in_flight > 0;
      while (!cap.blocked(in_flight, false, rules, now)) {
        ++in_flight;
        cap.admitted();
        ++calls;
        if (in_flight <= limit) continue;
        refuse();
        ++refusals;
      }
    }
    EXPECT_GE(calls, 5'000) << limit;
    EXPECT_LE(calls, 12'000) << limit;
  }
}

TEST_F(Cap, FollowsALimitThatFallsInLargerSteps) {
  in_flight = 100;
  refuse();
  EXPECT_EQ(cap.limit(in_flight, now), 92);
  in_flight = 92;
  now += 1s;
  refuse();
  EXPECT_EQ(cap.limit(in_flight, now), 79);
}

TEST_F(Cap, IsTheNumberThatTheUpstreamSaysUntilThatExpires) {
  cap.told(50, rules, now);
  EXPECT_EQ(cap.limit(0, now), 50);
  EXPECT_EQ(cap.source(), Source::body);
  EXPECT_EQ(press(), 50);
  now += 9min;
  EXPECT_EQ(press(), 50);
  now += 2min;
  EXPECT_FALSE(cap.learned(now));
  EXPECT_EQ(press(), 53) << "it ramps on from there";
}

TEST_F(Cap, OfAnAccountWithKnownLimitsIsForgottenInTheEnd) {
  in_flight = 10;
  refuse();
  in_flight = 9;
  EXPECT_NE(cap.blocked(in_flight, false, rules, now), std::nullopt);
  now += 21min;
  EXPECT_EQ(cap.blocked(in_flight, false, rules, now), std::nullopt);
  EXPECT_EQ(cap.blocked(100'000, false, rules, now), std::nullopt);
}

TEST_F(Cap, ThatGrewTooFastIsHalvedAndGrowsHalfAsFast) {
  while (press() < 101) now += 250ms;
  now += 20ms;
  cap.too_steep(in_flight, now - 20ms, rules, now);
  EXPECT_EQ(cap.limit(0, now), 50);
  in_flight = 50;
  press();
  EXPECT_EQ(waits_until, now + 500ms);
  now += 500ms;
  EXPECT_EQ(press(), 53);
  now += 20ms;
  cap.too_steep(in_flight, now - 20ms, rules, now);
  in_flight = 26;
  press();
  EXPECT_EQ(waits_until, now + 1s);
}

TEST_F(Cap, WaitsAsLongForARefusalAsTheyTake) {
  while (press() < 62) now += 250ms;
  now += 800ms;
  cap.turned_away(in_flight, now - 800ms, 800ms, rules, now);
  in_flight = 57;
  now += 11min;  // what was learned has expired: it ramps
  press();
  EXPECT_EQ(waits_until, now + 1200ms);
}

TEST_F(Cap, IsNeverBelowOne) {
  for (int i = 0; i < 5; ++i) {
    in_flight = 1;
    now += 1s;
    refuse();
  }
  EXPECT_EQ(cap.limit(0, now), 1);
  EXPECT_EQ(cap.blocked(0, false, rules, now), std::nullopt);
}

}  // namespace
}  // namespace weir::admission
