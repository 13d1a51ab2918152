#include "admission/learned_limits.hpp"

#include <gtest/gtest.h>

namespace weir::admission {
namespace {

using namespace std::chrono_literals;

const Instant start = Instant(640h);

class Learned : public ::testing::Test {
 protected:
  bool say(Tokens limit, std::optional<Tokens> configured = 1'000, Source source = Source::header) {
    return learned.note(Meter::tokens, limit, configured, source, rules, now);
  }
  std::optional<Tokens> tightened(std::optional<Tokens> configured = 1'000) const {
    return learned.tightened(Meter::tokens, configured);
  }

  LearnRules rules;
  LearnedLimits learned;
  Instant now = start;
};

TEST_F(Learned, TightensAndNeverLoosens) {
  EXPECT_FALSE(say(1'000));
  EXPECT_FALSE(say(5'000));
  EXPECT_EQ(tightened(), 1'000);
  EXPECT_TRUE(say(600));
  EXPECT_EQ(tightened(), 600);
  EXPECT_EQ(tightened(500), 500);
}

TEST_F(Learned, TightensWhatIsUnlimited) {
  EXPECT_TRUE(say(600, std::nullopt));
  EXPECT_EQ(tightened(std::nullopt), 600);
}

TEST_F(Learned, SaysWhereItComesFromAndHowLongItHolds) {
  say(600, 1'000, Source::body);
  const auto& held = learned.of(Meter::tokens);
  ASSERT_TRUE(held);
  EXPECT_EQ(held->source, Source::body);
  EXPECT_EQ(held->at, start);
  EXPECT_EQ(held->until, start + 10min);
  EXPECT_EQ(learned.of(Meter::requests), std::nullopt);
}

TEST_F(Learned, IsRenewedWhenItIsSaidAgainAndExpiresOtherwise) {
  say(600);
  now += 9min;
  EXPECT_FALSE(say(600)) << "nothing changes";
  now += 9min;
  EXPECT_FALSE(learned.expire(now));
  EXPECT_EQ(learned.next_expiry(), now + 1min);
  now += 1min;
  EXPECT_TRUE(learned.expire(now));
  EXPECT_EQ(tightened(), 1'000);
}

TEST_F(Learned, FollowsDownAtOnceAndUpOnceASecond) {
  EXPECT_TRUE(say(600));
  EXPECT_TRUE(say(500));
  EXPECT_FALSE(say(700));
  EXPECT_EQ(tightened(), 500);
  now += 1s;
  EXPECT_TRUE(say(700));
  EXPECT_EQ(tightened(), 700);
}

TEST_F(Learned, FiguresThatHardlyMoveAreTheSame) {
  say(600);
  EXPECT_FALSE(say(595));
  EXPECT_EQ(tightened(), 600);
}

TEST_F(Learned, ALimitThatIsNoLongerSmallerIsNothingToRemember) {
  say(600);
  EXPECT_TRUE(say(1'000));
  EXPECT_EQ(tightened(), 1'000);
}

TEST_F(Learned, ALimitOfNothingIsNoLimit) {
  EXPECT_FALSE(say(0));
  EXPECT_EQ(tightened(), 1'000);
}

TEST_F(Learned, NothingIsNotedWhenLearningIsOff) {
  rules.enabled = false;
  EXPECT_FALSE(say(600));
}

}  // namespace
}  // namespace weir::admission
