// How high the use of a window will stand at its highest.
#include "admission/horizon.hpp"

#include <gtest/gtest.h>

#include <random>
#include <vector>

#include "support/seed.hpp"

namespace weir::admission {
namespace {

Spread spread;  // laid out anew for each

using namespace std::chrono_literals;

const Instant start = Instant(640h);  // at a bin's edge for every window used here
constexpr Duration window = 64s;      // bins of a second

Outlook evenly(Tokens amount, Instant begin, Instant end, Instant planned_at = start) {
  return {amount, planned_at, begin, end, false};
}
Outlook in_full(Tokens amount) {
  return {amount, start, start, start, true};
}

Horizon fresh(Instant now = start) {
  Horizon horizon(window);
  horizon.advance(now);
  return horizon;
}

TEST(Horizon, EmptyDoesNotRise) {
  EXPECT_EQ(fresh().peak(nullptr, spread), 0);
}

TEST(Horizon, RisesByWhatIsExpected) {
  Horizon horizon = fresh();
  horizon.plan(evenly(100, start, start + 10s), spread);
  EXPECT_EQ(horizon.peak(nullptr, spread), 100);
  EXPECT_EQ(horizon.planned(), 100);
}

TEST(Horizon, WhatHasLeftBeforeTakesNoRoom) {
  Horizon horizon = fresh();
  horizon.add_leaving(start + 5s, 100);
  horizon.plan(evenly(100, start + 6s, start + 16s), spread);
  EXPECT_EQ(horizon.peak(nullptr, spread), 0);
}

TEST(Horizon, WhatLeavesAfterwardsDoes) {
  Horizon horizon = fresh();
  horizon.add_leaving(start + 30s, 100);
  horizon.plan(evenly(100, start + 6s, start + 16s), spread);
  EXPECT_EQ(horizon.peak(nullptr, spread), 100);
}

TEST(Horizon, PeaksWhereBothMeet) {
  Horizon horizon = fresh();
  horizon.plan(evenly(100, start, start + 20s), spread);  // 5 a second
  horizon.add_leaving(start + 10s + 500ms, 1'000);        // from the 11th bin on there is room
  EXPECT_EQ(horizon.peak(nullptr, spread), 50);
}

TEST(Horizon, ALumpCountsInFullFromNowOn) {
  Horizon horizon = fresh();
  horizon.add_leaving(start, 1'000);
  horizon.plan(in_full(100), spread);
  EXPECT_EQ(horizon.peak(nullptr, spread), 100);
  EXPECT_EQ(horizon.overdue(), 100);
  horizon.unplan(in_full(100), spread);
  EXPECT_EQ(horizon.overdue(), 0);
  EXPECT_EQ(horizon.planned(), 0);
}

TEST(Horizon, OneMoreIsAskedWithoutBeingPlanned) {
  Horizon horizon = fresh();
  horizon.plan(evenly(100, start, start + 10s), spread);
  const Outlook more = evenly(50, start, start + 10s);
  EXPECT_EQ(horizon.peak(&more, spread), 150);
  const Outlook lump = in_full(70);
  EXPECT_EQ(horizon.peak(&lump, spread), 170);
  EXPECT_EQ(horizon.peak(nullptr, spread), 100);
}

TEST(Horizon, OneMoreMeetsTheOthersInTime) {
  Horizon horizon = fresh();
  horizon.plan(evenly(100, start, start + 10s), spread);
  horizon.add_leaving(start + 12s, 100);
  const Outlook later = evenly(50, start + 20s, start + 30s);
  EXPECT_EQ(horizon.peak(&later, spread), 100);
  const Outlook sooner = evenly(50, start, start + 5s);
  EXPECT_EQ(horizon.peak(&sooner, spread), 150);
}

TEST(Horizon, AllAtOnceFallsDueAtItsEnd) {
  Horizon horizon = fresh();
  horizon.plan(evenly(100, start + 20s, start + 20s), spread);
  horizon.add_leaving(start + 10s, 100);
  EXPECT_EQ(horizon.peak(nullptr, spread), 0);
  horizon.add_leaving(start + 30s, 60);
  horizon.plan(evenly(30, start + 5s, start + 5s), spread);
  EXPECT_EQ(horizon.peak(nullptr, spread), 30);
}

TEST(Horizon, AllAtOnceBeyondTheViewCountsAtItsEnd) {
  Horizon horizon = fresh();
  const Outlook far = evenly(100, start + 200s, start + 200s);
  horizon.plan(far, spread);
  EXPECT_EQ(horizon.peak(nullptr, spread), 100);
  horizon.unplan(far, spread);
  EXPECT_EQ(horizon.peak(nullptr, spread), 0);
}

TEST(Horizon, AnEvenOneCountsOnlyAsFarAsTheViewGoes) {
  Horizon horizon = fresh();
  horizon.plan(evenly(1'280, start, start + 128s), spread);
  EXPECT_EQ(horizon.peak(nullptr, spread), 640);
  EXPECT_EQ(horizon.planned(), 1'280);
}

TEST(Horizon, OfAnotherWindowHasALayoutOfItsOwn) {
  Horizon wide = fresh(), narrow(8s);
  narrow.advance(start);
  const Outlook outlook = evenly(100, start, start + 10s);
  wide.plan(outlook, spread);
  narrow.plan(outlook, spread);
  EXPECT_EQ(wide.peak(nullptr, spread), 100);
  EXPECT_EQ(narrow.peak(nullptr, spread), 80);  // as far as its view goes
  wide.unplan(outlook, spread);
  EXPECT_EQ(wide.peak(nullptr, spread), 0);
}

TEST(Horizon, WhatIsNotReportedInTimeIsOverdueAndStillCounts) {
  Horizon horizon = fresh();
  const Outlook outlook = evenly(100, start, start + 10s);
  horizon.plan(outlook, spread);
  horizon.advance(start + 5s);
  EXPECT_EQ(horizon.overdue(), 50);
  EXPECT_EQ(horizon.peak(nullptr, spread), 100);
  horizon.advance(start + 40s);
  EXPECT_EQ(horizon.overdue(), 100);
  horizon.unplan(outlook, spread);
  EXPECT_EQ(horizon.overdue(), 0);
  EXPECT_EQ(horizon.peak(nullptr, spread), 0);
}

TEST(Horizon, SurvivesALongSleep) {
  Horizon horizon = fresh();
  const Outlook outlook = evenly(100, start + 10s, start + 20s);
  horizon.plan(outlook, spread);
  horizon.advance(start + 1h);
  EXPECT_EQ(horizon.overdue(), 100);
  horizon.unplan(outlook, spread);
  EXPECT_EQ(horizon.peak(nullptr, spread), 0);
}

TEST(Horizon, WhatLeftTakesItsEntryAlong) {
  Horizon horizon = fresh();
  horizon.add_leaving(start + 5s, 100);
  horizon.remove_leaving(start + 5s, 100);  // it has left: the use fell by it
  horizon.advance(start + 6s);
  EXPECT_EQ(horizon.overdue(), 0);
  horizon.plan(evenly(10, start + 6s, start + 7s, start + 6s), spread);
  EXPECT_EQ(horizon.peak(nullptr, spread), 10);
}

// Whatever the order of calls: what was planned can be taken out again and nothing stays.
TEST(Horizon, PlansComeOutAsTheyWentIn) {
  const weir::test::Seed seed;
  std::mt19937_64 random(seed.value);
  for (int round = 0; round < 200; ++round) {
    Horizon horizon(window);
    Instant now = start + std::chrono::milliseconds(random() % 100'000);
    horizon.advance(now);
    std::vector<Outlook> plans;
    Tokens sum = 0;
    for (int step = 0; step < 60; ++step) {
      now += std::chrono::milliseconds(random() % 3'000);
      horizon.advance(now);
      if (!plans.empty() && random() % 2 == 0) {
        std::swap(plans[random() % plans.size()], plans.back());
        horizon.unplan(plans.back(), spread);
        sum -= plans.back().amount;
        plans.pop_back();
      } else {
        Outlook plan;
        plan.amount = static_cast<Tokens>(random() % 5'000);
        plan.planned_at = now;
        plan.lump = random() % 5 == 0;
        plan.begin = now + std::chrono::milliseconds(random() % 5'000);
        plan.end = plan.begin + std::chrono::milliseconds(random() % 3 == 0 ? 0 : random() % 100'000);
        horizon.plan(plan, spread);
        plans.push_back(plan);
        sum += plan.amount;
      }
      ASSERT_EQ(horizon.planned(), sum);
      ASSERT_GE(horizon.peak(nullptr, spread), horizon.overdue());
      ASSERT_LE(horizon.peak(nullptr, spread), horizon.peak_max(nullptr));
      ASSERT_LE(horizon.peak_max(nullptr), sum);
      ASSERT_GE(horizon.overdue(), 0);
    }
    for (const Outlook& plan : plans) horizon.unplan(plan, spread);
    EXPECT_EQ(horizon.overdue(), 0);
    EXPECT_EQ(horizon.planned(), 0);
    EXPECT_EQ(horizon.peak(nullptr, spread), 0);
  }
}

// The real one beside a slow one: the highest point of a sum of straight lines.
TEST(Horizon, AgreesWithAdditionBinByBin) {
  const weir::test::Seed seed;
  std::mt19937_64 random(seed.value);
  for (int round = 0; round < 200; ++round) {
    Horizon horizon = fresh();
    std::vector<Tokens> net(64);
    for (int i = 0; i < 20; ++i) {
      const auto begin = static_cast<std::size_t>(random() % 60), length = 1 + static_cast<std::size_t>(random() % 60);
      const auto per_bin = static_cast<Tokens>(random() % 50);
      horizon.plan(evenly(per_bin * static_cast<Tokens>(length), start + begin * 1s, start + (begin + length) * 1s),
                   spread);
      for (std::size_t bin = begin; bin < std::min<std::size_t>(64, begin + length); ++bin) net[bin] += per_bin;
      const auto leaving = static_cast<std::size_t>(random() % 64);
      const auto amount = static_cast<Tokens>(random() % 1'000);
      horizon.add_leaving(start + leaving * 1s + 300ms, amount);
      net[leaving] -= amount;
    }
    Tokens level = 0, highest = 0;
    for (const Tokens each : net) {
      level += each;
      highest = std::max(highest, level);
    }
    EXPECT_EQ(horizon.peak(nullptr, spread), highest);
  }
}

}  // namespace
}  // namespace weir::admission
