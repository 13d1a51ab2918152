#include "net/task.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "net/signal.hpp"

namespace weir::net {
namespace {

Task<int> answer() {
  co_return 42;
}

Task<std::string> joined(std::string a, std::string b) {
  co_return a + b;
}

Task<std::unique_ptr<int>> moved() {
  co_return std::make_unique<int>(7);
}

Task<void> run(Task<int> task, int& result) {
  result = co_await task;
}

TEST(Task, DoesNotStartBeforeItIsAwaited) {
  bool started = false;
  const auto start = [&started]() -> Task<int> {
    started = true;
    co_return 1;
  };
  Task<int> task = start();
  EXPECT_FALSE(started);
  int result = 0;
  spawn(run(std::move(task), result));
  EXPECT_TRUE(started);
  EXPECT_EQ(result, 1);
}

TEST(Task, HandsItsValueToTheParent) {
  int number = 0;
  std::string text;
  std::unique_ptr<int> pointer;
  const auto parent = [&]() -> Task<void> {
    number = co_await answer();
    text = co_await joined("left ", "right");
    pointer = co_await moved();
  };
  spawn(parent());
  EXPECT_EQ(number, 42);
  EXPECT_EQ(text, "left right");
  EXPECT_EQ(*pointer, 7);
}

TEST(Task, ThrowsInTheParentWhatTheChildLetOut) {
  Signal signal;
  std::vector<std::string> caught;
  const auto fails = [&](bool suspends) -> Task<int> {
    if (suspends) co_await signal.wait(1);
    throw std::runtime_error(suspends ? "after a wait" : "at once");
  };
  const auto parent = [&]() -> Task<void> {
    for (const bool suspends : {false, true}) {
      try {
        co_await fails(suspends);
      } catch (const std::runtime_error& error) {
        caught.push_back(error.what());
      }
    }
  };
  spawn(parent());
  EXPECT_EQ(caught, std::vector<std::string>{"at once"});
  signal.raise(1);
  EXPECT_EQ(caught, (std::vector<std::string>{"at once", "after a wait"}));
}

// Counts the coroutine frames that are alive by what lives in them.
struct Guard {
  explicit Guard(int& count) : count_(count) { ++count_; }
  ~Guard() { --count_; }
  Guard(const Guard&) = delete;
  int& count_;
};

Task<int> wait_deep(Signal& signal, int depth, int& alive) {
  const Guard guard(alive);
  if (depth == 0) {
    const Signal::Bits bits = co_await signal.wait(1);
    co_return static_cast<int>(bits);
  }
  const int below = co_await wait_deep(signal, depth - 1, alive);
  co_return below + 1;
}

TEST(Task, ResumesThroughAllLevelsOnceTheDeepestIsRung) {
  Signal signal;
  int alive = 0;
  int result = 0;
  spawn(run(wait_deep(signal, 5, alive), result));
  EXPECT_EQ(alive, 6);
  signal.raise(1);
  EXPECT_EQ(result, 6);
  EXPECT_EQ(alive, 0);
}

// Starts a task and owns it: what a parent that is destroyed does to its child.
class Started {
 public:
  explicit Started(Task<int> task) : task_(std::move(task)) { task_.await_suspend(std::noop_coroutine()); }

 private:
  Task<int> task_;
};

TEST(Task, DestroysAllLevelsOfASuspendedTask) {
  Signal signal;
  int alive = 0;
  {
    const Started started(wait_deep(signal, 5, alive));
    EXPECT_EQ(alive, 6);
  }
  EXPECT_EQ(alive, 0);
}

TEST(Task, RingsNobodyWhoWasDestroyedWhileWaiting) {
  Signal signal;
  int alive = 0;
  {
    const Started started(wait_deep(signal, 2, alive));
  }
  signal.raise(1);  // a use after free before the awaiter took its place in the signal away with it
  EXPECT_EQ(signal.raised(), 1u);
}

TEST(Task, DestroysWhatWasNeverStarted) {
  auto kept = std::make_shared<int>(1);
  const auto holds = [](std::shared_ptr<int> value) -> Task<int> { co_return *value; };
  {
    const Task<int> task = holds(kept);
  }
  EXPECT_EQ(kept.use_count(), 1);
}

TEST(Task, TakesOverAnotherTaskWhenAssigned) {
  Task<int> task = answer();
  task = answer();
  int result = 0;
  spawn(run(std::move(task), result));
  EXPECT_EQ(result, 42);
}

// A loop of synchronous completions must not deepen the stack, in builds without tail calls either.
TEST(Task, CompletesAMillionChildrenWithoutDeepeningTheStack) {
  long sum = 0;
  const auto child = [](long i) -> Task<long> { co_return i; };
  const auto parent = [&]() -> Task<void> {
    for (long i = 0; i < 1'000'000; ++i) sum += co_await child(i);
  };
  spawn(parent());
  EXPECT_EQ(sum, 499'999'500'000);
}

TEST(Task, SuspendsAHundredThousandTimesWithoutDeepeningTheStack) {
  Signal signal;
  long rounds = 0;
  const auto child = [&]() -> Task<long> {
    const Signal::Bits bits = co_await signal.wait(1);
    co_return static_cast<long>(bits);
  };
  const auto parent = [&]() -> Task<void> {
    while (rounds < 100'000) rounds += co_await child();
  };
  spawn(parent());
  for (int i = 0; i < 100'000; ++i) signal.raise(1);
  EXPECT_EQ(rounds, 100'000);
}

TEST(Spawn, FreesTheFrameWhenTheTaskEnds) {
  Signal signal;
  int alive = 0;
  const auto story = [&]() -> Task<void> {
    const Guard guard(alive);
    co_await signal.wait(1);
  };
  spawn(story());
  EXPECT_EQ(alive, 1);
  signal.raise(1);
  EXPECT_EQ(alive, 0);
}

TEST(Spawn, LetsATaskSpawnAnother) {
  std::vector<int> order;
  const auto inner = [&]() -> Task<void> {
    order.push_back(2);
    co_return;
  };
  const auto outer = [&]() -> Task<void> {
    order.push_back(1);
    spawn(inner());
    order.push_back(3);
    co_return;
  };
  spawn(outer());
  EXPECT_EQ(order, (std::vector<int>{1, 2, 3}));
}

}  // namespace
}  // namespace weir::net
