// The three kinds of limiter: pure, in made-up time.
#include "simulator/meter.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "simulator/window_log.hpp"

namespace weir::simulator {
namespace {

using namespace std::chrono_literals;

const Instant start = Instant(10h);
constexpr Duration minute = 60s;

// Charges while it fits; returns how many did.
std::uint64_t fill(Meter& meter, Instant now, std::uint64_t amount = 1) {
  std::uint64_t count = 0;
  for (; meter.fits(amount, now); ++count) meter.charge(amount, now);
  return count;
}

TEST(Bucket, HoldsTheWholeLimitAtFirst) {
  for (const std::uint64_t limit : {1u, 7u, 9u, 11u, 60u, 4999u, 30'000u}) {
    const auto bucket = make_bucket(limit, minute, 1.0);
    EXPECT_EQ(bucket->remaining(start), limit);
    EXPECT_EQ(fill(*bucket, start), limit) << limit;
    EXPECT_EQ(bucket->remaining(start), 0u);
  }
}

TEST(Bucket, RefillsContinuously) {
  const auto bucket = make_bucket(60, minute, 1.0);
  fill(*bucket, start);
  EXPECT_FALSE(bucket->fits(1, start + 999ms));
  EXPECT_TRUE(bucket->fits(1, start + 1s));
  EXPECT_FALSE(bucket->fits(2, start + 1s));
  EXPECT_EQ(bucket->remaining(start + 30s), 30u);
}

TEST(Bucket, ResetIsTheTimeUntilFullAsInRealHeaders) {
  // Seen at OpenAI: limit 160000, remaining 159976, reset 9ms; limit 5000, one used, reset 12ms.
  const auto tokens = make_bucket(160'000, minute, 1.0);
  tokens->charge(24, start);
  EXPECT_EQ(tokens->remaining(start), 159'976u);
  EXPECT_EQ(tokens->until_full(start), 9ms);
  const auto requests = make_bucket(5'000, minute, 1.0);
  requests->charge(1, start);
  EXPECT_EQ(requests->until_full(start), 12ms);
}

TEST(Bucket, BurstIsAPartOfTheLimit) {
  const auto bucket = make_bucket(600, minute, 0.1);
  EXPECT_EQ(fill(*bucket, start), 60u);
  EXPECT_EQ(fill(*bucket, start + 1s), 10u);
  EXPECT_EQ(bucket->until_fits(61, start), std::nullopt);
}

TEST(Bucket, ChargesBeyondTheLimitDelayTheNext) {
  const auto bucket = make_bucket(60, minute, 1.0);
  bucket->charge(90, start);
  EXPECT_EQ(bucket->remaining(start), 0u);
  EXPECT_EQ(bucket->until_fits(1, start), 31s);
  EXPECT_FALSE(bucket->fits(1, start + 30s));
  EXPECT_TRUE(bucket->fits(1, start + 31s));
}

TEST(Bucket, SurvivesAbsurdCharges) {
  const auto bucket = make_bucket(1, 24h, 1.0);
  for (int i = 0; i < 10; ++i) bucket->charge(~std::uint64_t{0}, start);
  EXPECT_FALSE(bucket->fits(1, start + 24h));
  EXPECT_GT(bucket->until_full(start), 24h);
}

TEST(FixedWindow, IsFullAgainAtTheNextMultiple) {
  const auto window = make_fixed_window(10, minute);
  const Instant late = start + 59s;
  EXPECT_EQ(fill(*window, late), 10u);
  EXPECT_EQ(window->until_fits(1, late), 1s);
  EXPECT_EQ(window->until_full(late), 1s);
  EXPECT_EQ(fill(*window, start + 60s), 10u);  // twenty in two seconds: that is what fixed windows do
  EXPECT_FALSE(window->fits(1, start + 119s));
  EXPECT_EQ(window->until_fits(11, start), std::nullopt);
}

TEST(FixedWindow, ForgetsDebtAtTheTurn) {
  const auto window = make_fixed_window(10, minute);
  window->charge(25, start);
  EXPECT_EQ(window->remaining(start), 0u);
  EXPECT_EQ(window->remaining(start + 60s), 10u);
}

TEST(SlidingWindow, LeavesRoomWhenChargesAreAWindowOld) {
  const auto window = make_sliding_window(10, minute);
  window->charge(4, start);
  window->charge(6, start + 10s);
  EXPECT_EQ(window->until_fits(1, start + 20s), 40s);
  EXPECT_EQ(window->until_fits(5, start + 20s), 50s);
  EXPECT_EQ(window->until_full(start + 20s), 50s);
  EXPECT_FALSE(window->fits(1, start + 59s));
  EXPECT_TRUE(window->fits(4, start + 60s));
  EXPECT_FALSE(window->fits(5, start + 60s));
  EXPECT_EQ(window->remaining(start + 70s), 10u);
}

TEST(SlidingWindow, IsNotFooledByAClockThatGoesBack) {
  const auto window = make_sliding_window(10, minute);
  window->charge(10, start + 10s);
  EXPECT_FALSE(window->fits(1, start));
  window->charge(1, start);
  EXPECT_FALSE(window->fits(1, start + 69s));
  EXPECT_TRUE(window->fits(10, start + 70s));
}

TEST(Meters, NeverFitWhatTheyCallNever) {
  for (const Limiter kind : {Limiter::bucket, Limiter::fixed, Limiter::sliding}) {
    const auto meter = make_meter(kind, 100, minute, 1.0);
    EXPECT_EQ(meter->until_fits(101, start), std::nullopt);
    EXPECT_FALSE(meter->fits(101, start));
    EXPECT_EQ(meter->until_fits(100, start), Duration(0));
  }
}

// For each kind: what it promises as a wait is when it fits, not earlier.
TEST(Meters, KeepTheirWordAboutTheWait) {
  const unsigned seed = 20251123;
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  for (const Limiter kind : {Limiter::bucket, Limiter::fixed, Limiter::sliding}) {
    const auto meter = make_meter(kind, 1000, 10s, 1.0);
    Instant now = start;
    for (int i = 0; i < 2000; ++i) {
      const std::uint64_t amount = 1 + random() % 200;
      const auto wait = meter->until_fits(amount, now);
      ASSERT_TRUE(wait);
      if (*wait > Duration(0)) {
        EXPECT_FALSE(meter->fits(amount, now + *wait - 1us));
        now += *wait;
      }
      ASSERT_TRUE(meter->fits(amount, now));
      meter->charge(amount, now);
      now += std::chrono::milliseconds(random() % 300);
    }
  }
}

// No window of the sliding meter, measured by the log that is not its own, holds more than the limit.
TEST(SlidingWindow, KeepsEveryWindowWithinTheLimit) {
  const unsigned seed = 7;
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  const auto meter = make_sliding_window(500, 2s);
  WindowLog log(2s);
  Instant now = start;
  for (int i = 0; i < 20'000; ++i) {
    const std::uint64_t amount = 1 + random() % 20;
    if (meter->fits(amount, now)) {
      meter->charge(amount, now);
      log.add(amount, now);
    }
    now += std::chrono::microseconds(random() % 5000);
  }
  EXPECT_LE(log.largest(), 500u);
  EXPECT_GT(log.largest(), 480u);
}

TEST(WindowLog, FindsTheLargestWindow) {
  WindowLog log(minute);
  log.add(5, start);
  log.add(5, start + 59s);
  EXPECT_EQ(log.largest(), 10u);
  log.add(5, start + 60s);  // the first has just left
  EXPECT_EQ(log.largest(), 10u);
  log.add(1, start + 61s);
  EXPECT_EQ(log.largest(), 11u);
  EXPECT_EQ(log.total(), 16u);
}

TEST(WindowLog, ConvictsABurstingBucket) {
  const auto bucket = make_bucket(60, minute, 1.0);
  WindowLog log(minute);
  for (Instant now = start; now < start + minute; now += 100ms) {
    while (bucket->fits(1, now)) {
      bucket->charge(1, now);
      log.add(1, now);
    }
  }
  EXPECT_GE(log.largest(), 119u);  // full bucket and a minute of refill: 200 % of the limit
  EXPECT_LE(log.largest(), 120u);
}

// Against the obvious: all sums of all windows that end at an amount.
TEST(WindowLog, AgreesWithCountingByHand) {
  const unsigned seed = 99;
  SCOPED_TRACE(seed);
  std::mt19937 random(seed);
  WindowLog log(1s);
  std::vector<std::pair<Instant, std::uint64_t>> all;
  std::uint64_t largest = 0;
  Instant now = start;
  for (int i = 0; i < 1500; ++i) {
    now += std::chrono::milliseconds(random() % 20);
    const std::uint64_t amount = random() % 10;
    log.add(amount, now);
    all.emplace_back(now, amount);
    std::uint64_t sum = 0;
    for (auto entry = all.rbegin(); entry != all.rend() && entry->first > now - 1s; ++entry) sum += entry->second;
    largest = std::max(largest, sum);
  }
  EXPECT_EQ(log.largest(), largest);
}

}  // namespace
}  // namespace weir::simulator
