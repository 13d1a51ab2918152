// Closed, open, half-open: transcripts at made-up instants.
#include "admission/breaker.hpp"

#include <gtest/gtest.h>

#include <vector>

namespace weir::admission {
namespace {

using namespace std::chrono_literals;
using State = Breaker::State;

constexpr Instant start = Instant(1000s);

// How many can be sent at this instant.
unsigned sendable(Breaker& breaker, Instant now, unsigned at_most = 1000) {
  unsigned sent = 0;
  while (sent < at_most && !breaker.blocked(now)) {
    breaker.admitted(now);
    ++sent;
  }
  return sent;
}

TEST(Breaker, IsClosedUntilItIsOpened) {
  Breaker breaker;
  EXPECT_EQ(breaker.state(start), State::closed);
  EXPECT_EQ(sendable(breaker, start), 1000u);
}

TEST(Breaker, OpenLetsNobodyThroughBeforeItsTime) {
  Breaker breaker;
  breaker.open(start + 10s);
  EXPECT_EQ(breaker.state(start + 9s), State::open);
  EXPECT_EQ(breaker.blocked(start + 9s), start + 10s);
  EXPECT_EQ(breaker.state(start + 10s), State::half_open);
}

TEST(Breaker, ALaterTimeHolds) {
  Breaker breaker;
  breaker.open(start + 10s);
  breaker.open(start + 5s);
  EXPECT_EQ(breaker.blocked(start), start + 10s);
}

TEST(Breaker, OneProbeGoesFirst) {
  Breaker breaker;
  breaker.open(start);
  EXPECT_EQ(sendable(breaker, start), 1u);
  EXPECT_EQ(breaker.blocked(start + 1s), start + 3s);
}

TEST(Breaker, EveryCallTakenInLetsTwoFollow) {
  Breaker breaker;
  breaker.open(start);
  Instant now = start;
  std::vector<unsigned> rounds;
  while (breaker.state(now) != State::closed) {
    const unsigned sent = sendable(breaker, now);
    rounds.push_back(sent);
    for (unsigned i = 0; i < sent; ++i) breaker.taken_in(now);
    now += 100ms;
  }
  EXPECT_EQ(rounds, (std::vector<unsigned>{1, 2, 4, 8, 16, 32}));
  EXPECT_EQ(sendable(breaker, now), 1000u);
}

TEST(Breaker, WhoIsNotTurnedAwayForAWhileCountsAsTakenIn) {
  Breaker breaker;
  breaker.open(start);
  EXPECT_EQ(sendable(breaker, start), 1u);
  EXPECT_EQ(sendable(breaker, start + 2999ms), 0u);
  EXPECT_EQ(sendable(breaker, start + 3s), 2u);
  EXPECT_EQ(sendable(breaker, start + 6s), 4u);
}

TEST(Breaker, AProbeThatCameToNothingMakesRoomForAnother) {
  Breaker breaker;
  breaker.open(start);
  EXPECT_EQ(sendable(breaker, start), 1u);
  breaker.came_to_nothing(start);
  EXPECT_EQ(sendable(breaker, start), 1u);
}

TEST(Breaker, AProbeTurnedAwayOpensItAnew) {
  Breaker breaker;
  breaker.open(start);
  EXPECT_EQ(sendable(breaker, start), 1u);
  breaker.open(start + 20s);
  breaker.came_to_nothing(start);
  EXPECT_EQ(breaker.blocked(start + 1s), start + 20s);
  EXPECT_EQ(sendable(breaker, start + 20s), 1u);
}

TEST(Breaker, CallsFromBeforeTheTroubleSayNothingAboutItsEnd) {
  Breaker breaker;
  breaker.open(start + 10s);
  for (int i = 0; i < 100; ++i) breaker.taken_in(start - 1s);
  EXPECT_EQ(breaker.state(start + 10s), State::half_open);
  EXPECT_EQ(sendable(breaker, start + 10s), 1u);
  for (int i = 0; i < 100; ++i) breaker.came_to_nothing(start - 1s);
  EXPECT_EQ(sendable(breaker, start + 10s), 0u);
}

}  // namespace
}  // namespace weir::admission
