// Driven by instants of the test's own: the wheel is told what time it is and asked when it wants to be told again.
#include "net/timer_wheel.hpp"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <optional>
#include <random>
#include <vector>

#include "net/task.hpp"
#include "support/seed.hpp"

namespace weir::net {
namespace {

using namespace std::chrono_literals;
using Duration = Clock::duration;

// A wheel and the clock that drives it: run_to() calls advance() exactly when the wheel asked for it, or `late` after.
class Wheel {
 public:
  // Far ahead of the real clock, which the wheel looks at too when it is empty.
  Instant now = Clock::now() + 1h;
  TimerWheel wheel{[this](Instant at) { asked = at; }};
  std::optional<Instant> asked;

  explicit Wheel(Duration late = 0ms) : late_(late) { wheel.advance(now); }

  void run_to(Instant end) {
    while (asked && *asked + late_ <= end) {
      now = std::max(now, *asked + late_);
      asked.reset();
      ++advances;
      wheel.advance(now);
    }
    now = end;
  }
  int advances = 0;

 private:
  Duration late_;
};

// Notes when its timer rings.
struct Alarm {
  Signal signal;
  Timer timer;
  std::vector<Instant> rang;
  explicit Alarm(Wheel& wheel) : timer(wheel.wheel, Bell{&signal, 1}) { spawn(listen(*this, wheel)); }
  ~Alarm() { signal.raise(2); }
  static Task<void> listen(Alarm& alarm, Wheel& wheel) {
    for (;;) {
      const Signal::Bits bits = co_await alarm.signal.wait(1 | 2);
      if (bits & 2) co_return;
      alarm.rang.push_back(wheel.now);
    }
  }
};

void expect_rang_in_time(const Alarm& alarm, Instant deadline, Duration late = 0ms) {
  ASSERT_EQ(alarm.rang.size(), 1u);
  EXPECT_GE(alarm.rang[0].time_since_epoch().count(), deadline.time_since_epoch().count()) << "early";
  EXPECT_LE(alarm.rang[0] - deadline, TimerWheel::tick_length + late) << "late";
}

TEST(TimerWheel, RingsWithinATickOfTheDeadlineAndNeverEarly) {
  for (const Duration after : {Duration(0), Duration(1), Duration(4'999'999), Duration(5ms), Duration(5'000'001),
                               Duration(123ms), Duration(5s), Duration(5115ms), Duration(5120ms), Duration(5121ms),
                               Duration(5125ms), Duration(60s), Duration(1h)}) {
    Wheel wheel;
    Alarm alarm(wheel);
    const Instant deadline = wheel.now + after;
    alarm.timer.arm(deadline);
    wheel.run_to(deadline + 50ms);
    SCOPED_TRACE(after.count());
    expect_rang_in_time(alarm, deadline);
    EXPECT_EQ(alarm.timer.deadline(), Instant::max()) << "disarmed by ringing";
  }
}

TEST(TimerWheel, RingsAtOnceWhenTheDeadlineHasPassed) {
  Wheel wheel;
  for (const Instant past : {wheel.now - 1h, Instant{}, Instant::min()}) {
    Alarm alarm(wheel);
    alarm.timer.arm(past);
    const Instant soon = wheel.now + 10ms;
    wheel.run_to(soon);
    EXPECT_EQ(alarm.rang.size(), 1u);
  }
}

TEST(TimerWheel, FollowsADeadlineThatIsMovedToLater) {
  Wheel wheel;
  Alarm alarm(wheel);
  const Instant start = wheel.now;
  alarm.timer.arm(start + 100ms);
  wheel.run_to(start + 90ms);
  alarm.timer.arm(start + 300ms);
  wheel.run_to(start + 299ms);
  EXPECT_TRUE(alarm.rang.empty());
  wheel.run_to(start + 400ms);
  expect_rang_in_time(alarm, start + 300ms);
}

TEST(TimerWheel, FollowsADeadlineThatIsMovedToEarlier) {
  Wheel wheel;
  Alarm alarm(wheel);
  const Instant start = wheel.now;
  alarm.timer.arm(start + 10s);
  wheel.run_to(start + 100ms);
  alarm.timer.arm(start + 200ms);
  wheel.run_to(start + 11s);
  expect_rang_in_time(alarm, start + 200ms);
}

TEST(TimerWheel, RingsNothingThatWasDisarmedOrDestroyed) {
  Wheel wheel;
  Alarm disarmed(wheel);
  auto destroyed = std::make_unique<Alarm>(wheel);
  disarmed.timer.arm(wheel.now + 50ms);
  destroyed->timer.arm(wheel.now + 50ms);
  disarmed.timer.disarm();
  destroyed.reset();
  wheel.run_to(wheel.now + 1s);
  EXPECT_TRUE(disarmed.rang.empty());
}

TEST(TimerWheel, TreatsTheEndOfTimeAsNotArmed) {
  Wheel wheel;
  Alarm alarm(wheel);
  alarm.timer.arm(wheel.now + 50ms);
  alarm.timer.arm(Instant::max());
  wheel.run_to(wheel.now + 1s);
  EXPECT_TRUE(alarm.rang.empty());
  alarm.timer.arm(Instant::max() - 1ns);
  wheel.run_to(wheel.now + 20s);
  EXPECT_TRUE(alarm.rang.empty());
}

TEST(TimerWheel, AsksForNothingWhileNothingIsArmed) {
  Wheel wheel;
  Alarm alarm(wheel);
  alarm.timer.arm(wheel.now + 5ms);
  wheel.run_to(wheel.now + 1s);
  EXPECT_EQ(alarm.rang.size(), 1u);
  EXPECT_FALSE(wheel.asked.has_value());
}

TEST(TimerWheel, SleepsThroughALongWaitButForOneLookATurn) {
  Wheel wheel;
  Alarm alarm(wheel);
  alarm.timer.arm(wheel.now + 1h);
  wheel.run_to(wheel.now + 1h + 10ms);
  EXPECT_EQ(alarm.rang.size(), 1u);
  EXPECT_LE(wheel.advances, 3600 / 5 + 2);
}

TEST(TimerWheel, RingsALongTimerInTimeHoweverLateItIsDriven) {
  for (const Duration late : {1ms, 4ms, 5ms, 6ms, 9ms, 11ms, 25ms, 700ms}) {
    std::optional<Instant> asked;
    TimerWheel wheel([&](Instant at) { asked = at; });
    Signal signal;
    Timer timer(wheel, Bell{&signal, 1});
    const Instant deadline = Clock::now() + 60s;
    timer.arm(deadline);
    Instant now{};
    while (!signal.raised() && asked) {
      now = *asked + late;
      asked.reset();
      wheel.advance(now);
    }
    EXPECT_NE(signal.raised(), 0u);
    EXPECT_GE((now - deadline).count(), 0) << "early, when driven " << late.count() << " ns late";
  }
}

// Does something when it rings.
template <class Action>
Task<void> when_rung(Signal& signal, Action action) {
  co_await signal.wait(1);
  action();
}

TEST(TimerWheel, LetsATimerArmItselfAgainWhileItRings) {
  for (const Duration again : {Duration(0ms), Duration(1ms), Duration(5ms), Duration(5115ms), Duration(5120ms),
                               Duration(5125ms), Duration(30s)}) {
    Wheel wheel;
    Signal signal;
    Timer timer(wheel.wheel, Bell{&signal, 1});
    Instant first, second;
    const auto story = [&]() -> Task<void> {
      co_await signal.wait(1);
      first = wheel.now;
      timer.arm(first + again);
      co_await signal.wait(1);
      second = wheel.now;
    };
    spawn(story());
    timer.arm(wheel.now + 10ms);
    wheel.run_to(wheel.now + 1min);
    EXPECT_GE((second - first).count(), again.count());
    EXPECT_LE(second - first, again + TimerWheel::tick_length);
  }
}

// The bug: a handler that armed a long timer on a wheel that had become empty and was driven late had it put into the
// very slot being visited, so that it rang at once instead of a minute later. (A real clock, since the wheel looks at
// it; whatever it shows, nothing may ring early.)
TEST(TimerWheel, NeverRingsEarlyATimerArmedWhileTheWheelIsDrivenLate) {
  for (int late = 0; late < 25; ++late) {
    TimerWheel wheel([](Instant) {});
    Signal signal;
    Timer timer(wheel, Bell{&signal, 1});
    int rang = 0;
    const auto story = [&]() -> Task<void> {
      co_await signal.wait(1);
      ++rang;
      timer.arm(Clock::now() + 60s);
      co_await signal.wait(1);
      ++rang;
    };
    spawn(story());
    timer.arm(Clock::now() + 1ms);
    const Instant driven = timer.deadline() + std::chrono::milliseconds(late + 5);
    while (Clock::now() < driven) {
    }
    wheel.advance(Clock::now());
    EXPECT_EQ(rang, 1) << late;
    signal.raise(1);  // ends the story
  }
}

// The bug: a timer moved to later by another one of its own slot that rings first rang early.
TEST(TimerWheel, LetsARingingTimerMoveAnotherOfItsSlotToLater) {
  Wheel wheel;
  Alarm first(wheel), last(wheel);
  Signal signal;
  Timer mover(wheel.wheel, Bell{&signal, 1});
  const Instant later = wheel.now + 10s;
  const auto move = [&] {
    if (first.rang.empty()) first.timer.arm(later);
    if (last.rang.empty()) last.timer.arm(later);
  };
  spawn(when_rung(signal, move));
  const Instant deadline = wheel.now + 50ms;
  last.timer.arm(deadline);  // one before and one after, whichever way the slot is gone through
  mover.arm(deadline);
  first.timer.arm(deadline);
  wheel.run_to(wheel.now + 100ms);
  EXPECT_LE(first.rang.size() + last.rang.size(), 1u) << "one of them rang before the mover, the other was moved";
  wheel.run_to(later + 100ms);
  EXPECT_EQ(first.rang.size(), 1u);
  EXPECT_EQ(last.rang.size(), 1u);
}

TEST(TimerWheel, LetsARingingTimerDestroyAnotherOfItsSlotAndItself) {
  Wheel wheel;
  struct Owned {
    Signal signal;
    Timer timer;
    explicit Owned(TimerWheel& w) : timer(w, Bell{&signal, 1}) {}
  };
  std::vector<std::unique_ptr<Owned>> all;
  for (int i = 0; i < 5; ++i) all.push_back(std::make_unique<Owned>(wheel.wheel));
  int rang = 0;
  const auto destroy_all = [&] {
    ++rang;
    all.clear();
  };
  spawn(when_rung(all[2]->signal, destroy_all));
  for (auto& owned : all) owned->timer.arm(wheel.now + 50ms);
  wheel.run_to(wheel.now + 1s);
  EXPECT_EQ(rang, 1);
  EXPECT_TRUE(all.empty());
}

TEST(TimerWheel, ArmsNewTimersWhileItRings) {
  Wheel wheel;
  Alarm added(wheel);
  Signal signal;
  Timer timer(wheel.wheel, Bell{&signal, 1});
  const Instant deadline = wheel.now + 100ms;
  const auto add = [&] { added.timer.arm(deadline); };
  spawn(when_rung(signal, add));
  timer.arm(wheel.now + 50ms);
  wheel.run_to(wheel.now + 1s);
  expect_rang_in_time(added, deadline);
}

// A hundred timers, armed, moved and disarmed at random, beside a model that is a map of deadlines.
TEST(TimerWheel, AgreesWithAPlainMapOfDeadlines) {
  const test::Seed seed;
  std::mt19937_64 random(seed.value);
  const auto pick = [&](std::int64_t below) {
    return static_cast<std::int64_t>(random() % static_cast<std::uint64_t>(below));
  };
  const Duration late = std::chrono::milliseconds(pick(12));
  Wheel wheel(late);
  std::vector<std::unique_ptr<Alarm>> alarms;
  for (int i = 0; i < 100; ++i) alarms.push_back(std::make_unique<Alarm>(wheel));
  std::map<std::size_t, Instant> model;
  for (int step = 0; step < 20'000; ++step) {
    const auto i = static_cast<std::size_t>(pick(100));
    const std::int64_t what = pick(10);
    if (what < 6) {
      const Duration after = std::chrono::microseconds(pick(what == 0 ? 20'000'000 : 300'000));
      model[i] = wheel.now + after;
      alarms[i]->timer.arm(model[i]);
    } else if (what == 6) {
      model.erase(i);
      alarms[i]->timer.disarm();
    } else {
      wheel.run_to(wheel.now + std::chrono::microseconds(pick(20'000)));
    }
    for (std::size_t n = 0; n < alarms.size(); ++n) {
      auto& rang = alarms[n]->rang;
      const auto expected = model.find(n);
      if (rang.empty()) {
        ASSERT_TRUE(expected == model.end() || wheel.now - expected->second <= TimerWheel::tick_length + late)
            << "missed";
        continue;
      }
      ASSERT_NE(expected, model.end()) << "rang though disarmed";
      ASSERT_EQ(rang.size(), 1u);
      ASSERT_GE((rang[0] - expected->second).count(), 0) << "early";
      model.erase(expected);
      rang.clear();
    }
  }
}

}  // namespace
}  // namespace weir::net
