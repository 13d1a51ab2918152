// Whose turn it is: weights, teams, classes, and what ages.
#include <gtest/gtest.h>

#include <deque>
#include <map>

#include "admission/turns_support.hpp"

namespace weir::admission {
namespace {

using namespace test;

TEST(FairOrder, FirstComeFirstServedInALane) {
  Desk desk(one_at_a_time());
  for (const char* name : {"a", "b", "c"}) desk.submit(name, {});
  EXPECT_EQ(turns(desk, 4), "a b c|");
}

TEST(FairOrder, KeysTakeTurns) {
  Desk desk(one_at_a_time());
  for (const char* name : {"a1", "a2", "a3"}) desk.submit(name, {.key = "a"});
  for (const char* name : {"b1", "b2", "b3"}) desk.submit(name, {.key = "b"});
  EXPECT_EQ(turns(desk, 6), "a1 b1 a2 b2 a3 b3");
}

TEST(FairOrder, TurnsAreMeasuredInTokens) {
  Desk desk(one_at_a_time());
  fill(desk, "a", 100, {.key = "a", .tokens = 10});
  fill(desk, "b", 10, {.key = "b", .tokens = 100});
  auto got = std::map<char, int>();
  for (int i = 0; i < 55; ++i) {
    const std::string next = desk.pass();
    const int size = next.front() == 'a' ? 10 : 100;
    got[next.front()] += size;
    desk.settle(next, used(size, 0));
  }
  EXPECT_NEAR(got['a'], 500, 100);
  EXPECT_NEAR(got['b'], 500, 100);
}

TEST(FairOrder, ByWeight) {
  Desk desk(one_at_a_time({key("a", {}, 3), key("b", {}, 1)}));
  fill(desk, "a", 200, {.key = "a"});
  fill(desk, "b", 200, {.key = "b"});
  const auto got = shares(desk, 10, 1'000);
  EXPECT_NEAR(got.at('a'), 750, 20);
  EXPECT_NEAR(got.at('b'), 250, 20);
}

TEST(FairOrder, TheKeysOfATeamWithAWeightShareItsTurns) {
  Desk desk(one_at_a_time({limited(Scope::team, "t", {}, 1)}));
  for (const char* name : {"a1", "a2", "a3"}) desk.submit(name, of_team("t", "a"));
  for (const char* name : {"b1", "b2", "b3"}) desk.submit(name, of_team("t", "b"));
  for (const char* name : {"c1", "c2", "c3"}) desk.submit(name, {.key = "c"});
  EXPECT_EQ(turns(desk, 9), "c1 a1 c2 b1 c3 a2 b2 a3 b3");
}

TEST(FairOrder, TheKeysOfATeamWithoutAWeightStandOnTheirOwn) {
  Desk desk(one_at_a_time({limited(Scope::team, "t", {})}));
  for (const char* name : {"a1", "a2"}) desk.submit(name, of_team("t", "a"));
  for (const char* name : {"b1", "b2"}) desk.submit(name, of_team("t", "b"));
  for (const char* name : {"c1", "c2"}) desk.submit(name, {.key = "c"});
  EXPECT_EQ(turns(desk, 6), "a1 b1 c1 a2 b2 c2");
}

TEST(FairOrder, TeamsShareByWeightHoweverManyKeysTheyHave) {
  Desk desk(one_at_a_time({limited(Scope::team, "one", {}, 1), limited(Scope::team, "three", {}, 3)}));
  for (const std::string name : {"a", "b", "c"}) fill(desk, "o" + name, 100, of_team("one", name));
  fill(desk, "t", 100, of_team("three", "d"));
  const auto got = shares(desk, 10, 800);
  EXPECT_NEAR(got.at('o'), 200, 10);
  EXPECT_NEAR(got.at('t'), 600, 10);
}

// The team's turn moves at another model; where its lane waits beside somebody else's, that lets them go first.
TEST(FairOrder, ATurnThatATeamTakesElsewhereIsNewsWhereItsOtherKeysWait) {
  Desk desk(
      all_of({account({}), limited(Scope::team, "t", {}, 1), limited(Scope::model, "m", {{Meter::tokens, 100}})}));
  desk.submit("first", {.key = "c", .model = "m", .tokens = 50});
  EXPECT_EQ(desk.pass(), "first");
  desk.submit("large", {.key = "a", .team = "t", .model = "m", .tokens = 80});
  EXPECT_EQ(desk.pass(), "") << "no room at the model";
  desk.submit("small", {.key = "c", .model = "m", .tokens = 10});
  EXPECT_EQ(desk.pass(), "") << "there is room, but it is the team's turn";
  desk.submit("elsewhere", {.key = "b", .team = "t", .tokens = 1'000});
  EXPECT_EQ(desk.pass(), "elsewhere small") << "and now it is not";
}

TEST(FairOrder, WhatAKeyOfATeamDoesNotUseGoesToItsTeam) {
  Desk desk(one_at_a_time({limited(Scope::team, "t", {}, 1), key("b", {{Meter::tokens, 20}})}));
  fill(desk, "a", 100, of_team("t", "a"));
  fill(desk, "b", 100, of_team("t", "b"));  // held up by its own limit
  fill(desk, "c", 100, {.key = "c", .tokens = 10});
  const auto got = shares(desk, 10, 600);
  EXPECT_EQ(got.at('b'), 20);
  EXPECT_NEAR(got.at('a'), 280, 10);
  EXPECT_NEAR(got.at('c'), 300, 10);
}

// A key that always waits used to keep its old place for ever.
TEST(FairOrder, AReloadGivesATeamAWeightForAllOfAKeyWhenItsNextCallComes) {
  Desk desk(one_at_a_time());
  for (const char* name : {"a1", "a2"}) desk.submit(name, of_team("t", "a"));
  for (const char* name : {"b1", "b2"}) desk.submit(name, of_team("t", "b"));
  for (const char* name : {"c1", "c2", "c3"}) desk.submit(name, {.key = "c"});
  desk.reconfigure(one_at_a_time({limited(Scope::team, "t", {}, 1)}));
  desk.submit("a3", of_team("t", "a"));
  desk.submit("b3", of_team("t", "b"));
  EXPECT_EQ(turns(desk, 9), "c1 a1 c2 b1 c3 a2 b2 a3 b3");
}

TEST(FairOrder, AKeyThatChangesItsTeamTakesWhoWaitsAlong) {
  Desk desk(one_at_a_time({limited(Scope::team, "s", {}, 1), limited(Scope::team, "t", {}, 1)}));
  for (const char* name : {"a1", "a2", "a3"}) desk.submit(name, of_team("s", "a"));
  for (const char* name : {"b1", "b2", "b3"}) desk.submit(name, of_team("t", "b"));
  for (const char* name : {"c1", "c2", "c3"}) desk.submit(name, of_team("s", "c"));
  EXPECT_EQ(turns(desk, 2), "a1 b1");
  desk.submit("a4", of_team("t", "a"));
  EXPECT_EQ(turns(desk, 6), "c1 a2 c2 b2 c3 a3");
}

TEST(FairOrder, AReloadChangesWeightsForThoseWhoComeThen) {
  Desk desk(one_at_a_time({key("a", {}, 1), key("b", {}, 1)}));
  desk.reconfigure(one_at_a_time({key("a", {}, 4), key("b", {}, 1)}));
  fill(desk, "a", 200, {.key = "a"});
  fill(desk, "b", 200, {.key = "b"});
  const auto got = shares(desk, 10, 1'000);
  EXPECT_NEAR(got.at('a'), 800, 20);
}

TEST(FairOrder, WhatWasReallyUsedCounts) {
  Desk desk(one_at_a_time());
  fill(desk, "a", 100, {.key = "a", .tokens = 10});
  fill(desk, "b", 100, {.key = "b", .tokens = 10});
  int a = 0;
  for (int i = 0; i < 80; ++i) {
    const std::string next = desk.pass();
    a += next.front() == 'a';
    desk.settle(next, used(next.front() == 'a' ? 30 : 10, 0));  // a says 10 and takes 30
  }
  EXPECT_NEAR(a, 20, 2);
}

TEST(FairOrder, AWithdrawalBeforeSendingCostsNoTurn) {
  Desk desk(one_at_a_time());
  fill(desk, "a", 30, {.key = "a"});
  fill(desk, "b", 30, {.key = "b"});
  int b = 0, passed = 0;
  while (passed < 20) {
    const std::string next = desk.dispatch();
    if (next == "a0" || next == "a1" || next == "a2" || next == "a3") {
      desk.withdraw(next);
      continue;
    }
    b += next.front() == 'b';
    ++passed;
    desk.send(next);
    desk.settle(next, used(10, 0));
  }
  EXPECT_NEAR(b, 10, 1);
}

TEST(FairOrder, AnIdleShareIsBorrowedAndNotSavedUp) {
  Desk desk(one_at_a_time());
  fill(desk, "a", 100, {.key = "a"});
  EXPECT_EQ(shares(desk, 10, 500).at('a'), 500);  // b was away
  fill(desk, "b", 100, {.key = "b"});
  const auto got = shares(desk, 10, 400);
  EXPECT_NEAR(got.at('b'), 200, 20);  // and gets its share, not what it did not use
  EXPECT_NEAR(got.at('a'), 200, 20);  // nor is anything demanded back
}

TEST(FairOrder, ARetryKeepsItsPlace) {
  Desk desk(one_at_a_time());
  desk.submit("a", {});
  desk.now += 1s;
  desk.submit("b", {});
  desk.now += 1s;
  desk.submit("c", {});
  EXPECT_EQ(desk.pass(), "a");
  desk.now += 1s;
  desk.submit("early", {.arrived = start + 500ms});
  desk.submit("same", {.arrived = start + 1s});
  desk.settle("a", used(10, 0));
  EXPECT_EQ(turns(desk, 4), "early b same c");
}

// --- Classes ---

TEST(FairOrder, MoreImportantFirst) {
  Desk desk(one_at_a_time());
  desk.submit("c", {.key = "c", .priority = Priority::background});
  desk.submit("b", {.key = "b", .priority = Priority::normal});
  desk.submit("a1", {.key = "a"});
  desk.submit("a2", {.key = "a"});
  EXPECT_EQ(turns(desk, 4), "a1 a2 b c");
}

TEST(FairOrder, WaitingLiftsARequestByOneClassAStep) {
  Limits limits = one_at_a_time();
  limits.age_step = 30s;
  Desk desk(limits);
  desk.submit("old", {.key = "c", .priority = Priority::background});
  desk.submit("run", {.key = "r"});
  EXPECT_EQ(desk.pass(), "run");
  desk.now = start + 31s;
  desk.submit("n", {.key = "b", .priority = Priority::normal});
  desk.submit("i", {.key = "a"});
  desk.settle("run", used(10, 0));
  EXPECT_EQ(desk.pass(), "i");  // lifted to normal, where it came first
  desk.settle("i", used(10, 0));
  EXPECT_EQ(desk.pass(), "old");
  desk.settle("old", used(10, 0));
  EXPECT_EQ(desk.pass(), "n");
}

TEST(FairOrder, WhoHasWaitedLongEnoughComesBeforeLaterOnesOfTheHighestClass) {
  Limits limits = one_at_a_time();
  limits.age_step = 30s;
  Desk desk(limits);
  desk.submit("run", {.key = "r"});
  EXPECT_EQ(desk.pass(), "run");
  desk.submit("old", {.key = "c", .priority = Priority::background});
  desk.now = start + 61s;
  desk.submit("i", {.key = "a"});
  desk.settle("run", used(10, 0));
  EXPECT_EQ(turns(desk, 2), "old i");
}

TEST(FairOrder, ClassesOfAKeyHaveSharesOfTheirOwn) {
  Desk desk(one_at_a_time());
  fill(desk, "b", 3, {.key = "k", .priority = Priority::background});
  fill(desk, "i", 3, {.key = "k"});
  EXPECT_EQ(turns(desk, 6), "i0 i1 i2 b0 b1 b2");
}

// Two keys with work at all times, one of which says that it is less important. Used to be served in the order of
// arrival once they had waited for long, so that the one with more calls got more.
std::map<char, int> of_two_floods(Priority flood) {
  Limits limits = all_of({account({{Meter::in_flight, 10}})});
  limits.requests_max = 100'000;
  Desk desk(limits);
  desk.checks = false;
  std::map<char, int> got;
  std::deque<std::pair<Instant, std::string>> running;
  for (int step = 0; step < 1'500; ++step, desk.now += 200ms) {
    for (int i = 0; i < 18; ++i) desk.submit('a' + std::to_string(18 * step + i), {.key = "a", .priority = flood});
    for (int i = 0; i < 4; ++i) desk.submit('b' + std::to_string(4 * step + i), {.key = "b"});
    for (; !running.empty() && running.front().first <= desk.now; running.pop_front())
      desk.settle(running.front().second, used(10, 0));
    for (const Decision& decision : dispatch_all(desk.scheduler, desk.now)) {
      if (decision.rejection) continue;
      const std::string& name = desk.names[decision.ticket.index];
      desk.scheduler.sent(decision.ticket, desk.now);
      running.emplace_back(desk.now + 1s, name);
      if (step >= 500) ++got[name.front()];
    }
  }
  return got;
}

TEST(FairOrder, AFloodOfLessImportantCallsThatHaveAgedGetsNoMoreThanItsShare) {
  for (const Priority flood : {Priority::interactive, Priority::normal, Priority::background}) {
    const auto got = of_two_floods(flood);
    EXPECT_NEAR(got.at('a'), 1'000, 30) << static_cast<int>(flood);
    EXPECT_NEAR(got.at('b'), 1'000, 30) << static_cast<int>(flood);
  }
}

TEST(FairOrder, KeysOfALessImportantClassTakeTurnsWhenTheyHaveAged) {
  Limits limits = one_at_a_time();
  limits.age_step = 30s;
  Desk desk(limits);
  fill(desk, "a", 50, {.key = "a"});
  fill(desk, "b", 100, {.key = "b", .priority = Priority::background});
  fill(desk, "c", 100, {.key = "c", .priority = Priority::background});
  desk.now = start + 61s;
  fill(desk, "a_", 50, {.key = "a"});
  EXPECT_EQ(turns(desk, 6), "a0 b0 c0 a1 b1 c1");
}

// What ages is the head: behind it may be somebody who came just now.
TEST(FairOrder, ALaneIsAsImportantAsItsHead) {
  Limits limits = one_at_a_time();
  limits.age_step = 30s;
  Desk desk(limits);
  desk.submit("old", {.key = "b", .priority = Priority::background});
  desk.now = start + 61s;
  desk.submit("young", {.key = "b", .priority = Priority::background});
  fill(desk, "a", 3, {.key = "a"});
  EXPECT_EQ(turns(desk, 5), "old a0 a1 a2 young");
}

TEST(FairOrder, WhoComesOfAgeIsAskedAtOnce) {
  Limits limits = all_of({account({{Meter::tokens, 100}})});
  limits.age_step = 10s;
  Desk desk(limits);
  desk.submit("first", {.key = "x", .tokens = 50});
  EXPECT_EQ(desk.pass(), "first");
  desk.submit("old", {.key = "b", .priority = Priority::normal, .tokens = 10});
  desk.now += 1s;
  desk.submit("large", {.key = "a", .tokens = 80});
  EXPECT_EQ(desk.pass(), "") << "the first in line has no room, and is not overtaken";
  EXPECT_EQ(desk.pass_when_woken(), "old");
  EXPECT_EQ(desk.now, start + 10s);
}

// Catching up may give a lane another head, which has not aged; the books tell.
TEST(FairOrder, ALaneIsAsImportantAsTheHeadThatCatchingUpGivesIt) {
  Limits limits = one_at_a_time();
  limits.age_step = 30s;
  Desk desk(limits);
  pause(desk, "m", 1h);
  desk.submit("c", {.model = "n", .lane = "c", .tokens = 100});
  EXPECT_EQ(desk.pass(), "c");
  desk.settle("c");
  desk.submit("young", {.model = "m", .lane = "c", .priority = Priority::background});
  desk.submit("old", {.model = "m", .lane = "a", .priority = Priority::background, .arrived = start - 20s});
  fill(desk, "b", 60, {.model = "n", .lane = "b", .tokens = 10'000});
  EXPECT_EQ(shares(desk, 10'000, 600'000).at('b'), 600'000);
  desk.now += 10s;
  EXPECT_EQ(desk.pass(), "");
}

}  // namespace
}  // namespace weir::admission
