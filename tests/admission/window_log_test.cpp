// What a window remembers, and when it lets go.
#include "admission/window_log.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <utility>
#include <vector>

#include "support/seed.hpp"

namespace weir::admission {
namespace {

using namespace std::chrono_literals;

const Instant start = Instant(10h);
constexpr WindowShape shape{60s, 50ms, 8ms};

Tokens used_at(WindowLog& log, Instant now) {
  log.expire(now, [](const WindowLog::Entry&) {});
  return log.used();
}

TEST(WindowLog, AChargeStaysOneWindowAndOneGuardAndLessThanASlotMore) {
  for (const Duration offset : {0ns, 1ns, 3'000'000ns, 7'999'999ns, 8'000'000ns}) {
    WindowLog log(shape);
    const Instant at = start + offset;
    log.book(at, 10);
    EXPECT_EQ(used_at(log, at + 60s + 50ms), 10) << offset.count();
    EXPECT_EQ(used_at(log, at + 60s + 50ms + 8ms), 0) << offset.count();
    EXPECT_GT(log.leaves_after(at), at + 60s + 50ms);
    EXPECT_LE(log.leaves_after(at), at + 60s + 50ms + 8ms);
  }
}

TEST(WindowLog, LeavesAtTheVeryInstantItNames) {
  WindowLog log(shape);
  log.book(start, 10);
  const Instant leaves = log.leaves_after(start);
  EXPECT_EQ(used_at(log, leaves - 1ns), 10);
  EXPECT_EQ(used_at(log, leaves), 0);
}

TEST(WindowLog, ChargesOfASlotShareAnEntry) {
  WindowLog log(shape);
  for (int i = 0; i < 8; ++i) log.book(start + i * 1ms, 1);
  EXPECT_EQ(log.entries().size(), 1u);
  log.book(start + 8ms, 1);
  EXPECT_EQ(log.entries().size(), 2u);
  EXPECT_EQ(log.used(), 9);
}

TEST(WindowLog, WorksBeforeTheEpochOfItsClock) {
  WindowLog log(shape);
  const Instant at = Instant(-3ms);
  log.book(at, 1);
  EXPECT_GT(log.leaves_after(at), at + 60s + 50ms);
  EXPECT_LE(log.leaves_after(at), at + 60s + 50ms + 8ms);
}

TEST(WindowLog, KeepsOrderWhatEverTheOrderOfBooking) {
  WindowLog log(shape);
  log.book(start + 2s, 2);
  log.book(start, 1);
  log.book(start + 1s, 4);
  log.book(start + 1s, 8);
  EXPECT_EQ(log.entries().size(), 3u);
  EXPECT_TRUE(std::is_sorted(log.entries().begin(), log.entries().end(),
                             [](const auto& a, const auto& b) { return a.leaves < b.leaves; }));
  EXPECT_EQ(log.used(), 15);
}

TEST(WindowLog, NothingIsNoEntry) {
  WindowLog log(shape);
  log.book(start, 0);
  EXPECT_TRUE(log.entries().empty());
  EXPECT_EQ(log.empty_at(), Instant::min());
}

TEST(WindowLog, TakesBackWhereItWasCharged) {
  WindowLog log(shape);
  log.book(start, 10);
  log.book(start + 1s, 20);
  EXPECT_EQ(log.take_back(log.leaves_after(start), 4).amount, 4);
  EXPECT_EQ(log.used(), 26);
  EXPECT_EQ(log.entries().front().amount, 6);
}

TEST(WindowLog, TakesBackNoMoreThanStandsThere) {
  WindowLog log(shape);
  log.book(start, 10);
  log.book(start + 1s, 20);
  EXPECT_EQ(log.take_back(log.leaves_after(start), 11).amount, 10);
  EXPECT_EQ(log.used(), 20);
  EXPECT_EQ(log.take_back(log.leaves_after(start), 1).amount, 0);
}

TEST(WindowLog, TakesBackFromTheNearestEntryBefore) {
  WindowLog log(shape);
  log.book(start, 10);
  log.book(start + 1s, 20);
  const WindowLog::Entry taken = log.take_back(log.leaves_after(start + 500ms), 3);
  EXPECT_EQ(taken.amount, 3);
  EXPECT_EQ(taken.leaves, log.leaves_after(start));
  EXPECT_EQ(log.entries().front().amount, 7);
  EXPECT_EQ(log.take_back(log.leaves_after(start - 1s), 3).amount, 0);
}

TEST(WindowLog, TellsWhenEnoughHasLeft) {
  WindowLog log(shape);
  log.book(start, 10);
  log.book(start + 1s, 20);
  log.book(start + 2s, 30);
  EXPECT_EQ(log.when_at_most(60), Instant::min());
  EXPECT_EQ(log.when_at_most(59), log.leaves_after(start));
  EXPECT_EQ(log.when_at_most(50), log.leaves_after(start));
  EXPECT_EQ(log.when_at_most(49), log.leaves_after(start + 1s));
  EXPECT_EQ(log.when_at_most(30), log.leaves_after(start + 1s));
  EXPECT_EQ(log.when_at_most(0), log.leaves_after(start + 2s));
  EXPECT_EQ(log.when_at_most(-1), never);
  EXPECT_EQ(log.empty_at(), log.leaves_after(start + 2s));
}

TEST(WindowLog, ALongerWindowKeepsChargesLongerAndAShorterOneLetsThemGo) {
  WindowLog log(shape);
  log.book(start, 10);
  const Instant leaves = log.leaves_after(start);
  log.reshape({120s, 50ms, 8ms}, start);
  EXPECT_EQ(used_at(log, leaves + 59s), 10);
  log.reshape({10s, 50ms, 8ms}, start);
  EXPECT_EQ(log.entries().front().leaves, leaves - 50s);
  EXPECT_EQ(used_at(log, leaves - 50s), 0);
}

TEST(WindowLog, AWiderGuardCountsToo) {
  WindowLog log(shape);
  log.book(start, 10);
  const Instant leaves = log.leaves_after(start);
  log.reshape({60s, 250ms, 8ms}, start);
  EXPECT_EQ(log.entries().front().leaves, leaves + 200ms);
}

TEST(WindowLog, NoChargeOutlivesAShorterWindowByASlotOfTheLongerOne) {
  WindowLog log({24h, 50ms, 20min});
  log.book(start, 10);
  log.reshape({1s, 50ms, 1ms}, start + 500ms);
  EXPECT_EQ(used_at(log, start + 1050ms), 10);
  EXPECT_EQ(used_at(log, log.leaves_after(start + 500ms)), 0);
}

// The statement everything rests on: what was charged in (now - window - guard, now] is never forgotten.
TEST(WindowLog, NeverForgetsWhatTheWindowStillHolds) {
  const weir::test::Seed seed;
  std::mt19937_64 random(seed.value);
  for (int round = 0; round < 50; ++round) {
    const WindowShape any{std::chrono::milliseconds(100 + random() % 60'000), std::chrono::milliseconds(random() % 100),
                          std::chrono::microseconds(100 + random() % 9'000)};
    WindowLog log(any);
    std::vector<std::pair<Instant, Tokens>> charges;
    Instant now = start;
    for (int step = 0; step < 300; ++step) {
      now += std::chrono::microseconds(random() % (any.window.count() / 1000 / 50));
      const Tokens used = used_at(log, now);
      Tokens exact = 0, generous = 0;
      for (const auto& [at, amount] : charges) {
        if (at >= now - any.window - any.guard) exact += amount;
        if (at >= now - any.window - any.guard - any.slot) generous += amount;
      }
      ASSERT_GE(used, exact);
      ASSERT_LE(used, generous);
      const auto amount = static_cast<Tokens>(random() % 1000);
      log.book(now, amount);
      charges.emplace_back(now, amount);
    }
  }
}

// What when_at_most has to say, entry by entry.
Instant slow_when_at_most(const WindowLog& log, Tokens level) {
  Tokens left = log.used();
  if (left <= level) return Instant::min();
  for (const WindowLog::Entry& entry : log.entries()) {
    left -= entry.amount;
    if (left <= level) return entry.leaves;
  }
  return never;
}

TEST(WindowLog, FindsWhenALevelIsReachedAsIfItLookedAtEveryEntry) {
  const weir::test::Seed seed;
  std::mt19937_64 random(seed.value);
  const auto up_to = [&](Tokens most) { return static_cast<Tokens>(random() % static_cast<std::uint64_t>(most)); };
  // 7,500 entries in a window at most, and 300. Without corrections upwards nothing is ever summed up from the start.
  for (const auto& [slot, corrected_upwards] : {std::pair{8ms, true}, std::pair{200ms, true}, std::pair{8ms, false}}) {
    WindowLog log({60s, 50ms, slot});
    Instant now = start;
    for (int step = 0; step < 30'000; ++step) {
      now += std::chrono::milliseconds(up_to(24));
      log.expire(now, [](const WindowLog::Entry&) {});
      switch (random() % 16) {
        case 0:  // a correction, upwards, of a charge that may be the first of its slot
          if (corrected_upwards)
            log.book_until(log.leaves_after(now - std::chrono::milliseconds(up_to(60'000))), 1 + up_to(50));
          break;
        case 1:
        case 2:
          log.take_back(log.leaves_after(now - std::chrono::milliseconds(up_to(60'000))), up_to(400));
          break;
        case 3:
          if (up_to(2'000) == 0) now += 61s;  // all of it leaves
          break;
        default:
          log.book(now, up_to(300));
      }
      if (step % 50 != 0 || log.used() == 0) continue;
      for (const Tokens level : {Tokens{0}, log.used() - 1, up_to(log.used())})
        ASSERT_EQ(log.when_at_most(level), slow_when_at_most(log, level)) << "level " << level << " at step " << step;
    }
  }
}

}  // namespace
}  // namespace weir::admission
