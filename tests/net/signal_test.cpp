#include "net/signal.hpp"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "net/task.hpp"

namespace weir::net {
namespace {

// Waits for `mask` again and again and notes what it was woken by.
Task<void> note(Signal& signal, Signal::Bits mask, std::vector<Signal::Bits>& woken, int times = 100) {
  for (int i = 0; i < times; ++i) {
    const Signal::Bits bits = co_await signal.wait(mask);
    woken.push_back(bits);
  }
}

using Woken = std::vector<Signal::Bits>;

TEST(Signal, KeepsARingThatCameBeforeTheWait) {
  Signal signal;
  Woken woken;
  signal.raise(4);
  spawn(note(signal, 4, woken, 1));
  EXPECT_EQ(woken, Woken{4});
  EXPECT_EQ(signal.raised(), 0u);
}

TEST(Signal, ShowsAllBitsThatRangAtOnce) {
  Signal signal;
  Woken woken;
  signal.raise(1);
  signal.raise(2);
  signal.raise(8);
  spawn(note(signal, 1 | 2 | 4, woken, 1));
  EXPECT_EQ(woken, Woken{1 | 2});
  EXPECT_EQ(signal.raised(), 8u) << "a bit that was not waited for stays";
}

TEST(Signal, ResumesTheWaiterOncePerWait) {
  Signal signal;
  Woken woken;
  spawn(note(signal, 1 | 2, woken, 3));
  EXPECT_TRUE(woken.empty());
  signal.raise(1);
  signal.raise(2);
  signal.raise(1 | 2);
  EXPECT_EQ(woken, (Woken{1, 2, 1 | 2}));
  signal.raise(1);
  EXPECT_EQ(woken.size(), 3u) << "nobody waits any more";
}

TEST(Signal, DoesNotWakeForABitOutsideTheMask) {
  Signal signal;
  Woken woken;
  spawn(note(signal, 1, woken, 1));
  signal.raise(2);
  EXPECT_TRUE(woken.empty());
  signal.raise(1);
  EXPECT_EQ(woken, Woken{1});
  EXPECT_EQ(signal.raised(), 2u);
}

TEST(Signal, ForgetsABitThatIsCleared) {
  Signal signal;
  Woken woken;
  signal.raise(1 | 2);
  signal.clear(1);
  spawn(note(signal, 1, woken, 1));
  EXPECT_TRUE(woken.empty());
  signal.raise(1);
  EXPECT_EQ(woken, Woken{1});
}

TEST(Signal, MayBeRungByItsOwnWaiter) {
  Signal signal;
  Woken woken;
  const auto story = [&]() -> Task<void> {
    Signal::Bits bits = co_await signal.wait(1);
    woken.push_back(bits);
    signal.raise(2);
    bits = co_await signal.wait(2);
    woken.push_back(bits);
  };
  spawn(story());
  signal.raise(1);
  EXPECT_EQ(woken, (Woken{1, 2}));
}

TEST(Signal, MayGoWithTheCoroutineItResumes) {
  // The usual end of a session: the ring that ends it destroys the signal that was rung.
  auto ended = std::make_shared<bool>(false);
  Signal* rung = nullptr;
  const auto story = [&rung](std::shared_ptr<bool> end) -> Task<void> {
    Signal own;
    rung = &own;
    co_await own.wait(1);
    *end = true;
  };
  spawn(story(ended));
  const Bell bell{rung, 1};
  bell.ring();
  EXPECT_TRUE(*ended);
  EXPECT_EQ(ended.use_count(), 1) << "the frame is gone";
}

TEST(Bell, RingsItsOwnBit) {
  Signal signal;
  const Bell readable{&signal, 1}, writable{&signal, 2};
  writable.ring();
  EXPECT_EQ(signal.raised(), 2u);
  readable.ring();
  EXPECT_EQ(signal.raised(), 3u);
}

TEST(Bell, WithoutASignalRingsNothing) {
  Bell{}.ring();
}

}  // namespace
}  // namespace weir::net
