// Whose turn it is: weights, sub-lanes, classes, and who waits for whom.
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>

#include "admission/admission_support.hpp"

namespace weir::admission {
namespace {

using namespace test;

// One at a time, so that the order of turns can be read off.
Limits one_at_a_time(std::vector<BudgetLimits> more = {}) {
  more.push_back(account({{Meter::in_flight, 1}}));
  return all_of(std::move(more));
}

// Lets so many of 10 tokens through, one after the other.
std::string turns(Desk& desk, int count) {
  std::string text;
  for (int i = 0; i < count; ++i) {
    const std::string next = desk.pass_when_woken();
    if (next.empty()) return text + "|";
    text += (i > 0 ? " " : "") + next;
    desk.settle(next, used(10, 0));
  }
  return text;
}

// Lets all through; tokens by the first letter of their names, among the first `tokens` of them.
std::map<char, int> shares(Desk& desk, int size, int tokens) {
  std::map<char, int> got;
  for (int sum = 0; sum < tokens; sum += size) {
    const std::string next = desk.pass();
    if (next.empty()) break;
    got[next.front()] += size;
    desk.settle(next, used(size, 0));
  }
  return got;
}

void fill(Desk& desk, const std::string& prefix, int count, Request request) {
  for (int i = 0; i < count; ++i) desk.submit(prefix + std::to_string(i), request);
}

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

Request of_team(const std::string& team, const std::string& key) {
  return {.key = key, .team = team, .tokens = 10};
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

TEST(FairOrder, SubLanesShareTheirKeyEqually) {
  Desk desk(one_at_a_time());
  fill(desk, "a", 90, {.key = "k", .lane = "one"});
  fill(desk, "b", 10, {.key = "k", .lane = "two"});
  fill(desk, "c", 10, {.key = "k", .lane = "three"});
  const auto got = shares(desk, 10, 300);
  EXPECT_NEAR(got.at('a'), 100, 10);
  EXPECT_NEAR(got.at('b'), 100, 10);
  EXPECT_NEAR(got.at('c'), 100, 10);
}

TEST(FairOrder, InventingSubLanesGainsNothing) {
  Desk desk(one_at_a_time());
  for (int i = 0; i < 400; ++i) desk.submit("a" + std::to_string(i), {.key = "a", .lane = "lane" + std::to_string(i)});
  fill(desk, "b", 400, {.key = "b"});
  const auto got = shares(desk, 10, 2'000);
  EXPECT_NEAR(got.at('a'), 1'000, 20);
  EXPECT_NEAR(got.at('b'), 1'000, 20);
}

TEST(FairOrder, AskingForManyModelsGainsNothing) {
  Desk desk(one_at_a_time());
  for (int i = 0; i < 200; ++i)
    desk.submit("a" + std::to_string(i), {.key = "a", .model = "m" + std::to_string(i % 20)});
  fill(desk, "b", 200, {.key = "b", .model = "m0"});
  const auto got = shares(desk, 10, 1'000);
  EXPECT_NEAR(got.at('a'), 500, 20);
  EXPECT_NEAR(got.at('b'), 500, 20);
}

// Lanes come and go with their calls; what a key has had stays with it.
TEST(FairOrder, AskingForAnotherModelEachTimeGainsNothing) {
  Desk desk(one_at_a_time());
  fill(desk, "b", 200, {.key = "b"});
  std::map<char, int> got;
  for (int i = 0; i < 100; ++i) {
    desk.submit("a", {.key = "a", .model = "m" + std::to_string(i), .priority = static_cast<Priority>(i % 3)});
    desk.now += 61s;  // whatever class it asks for
    const std::string next = desk.pass();
    ++got[next.front()];
    desk.settle(next, used(10, 0));
    if (next != "a") desk.withdraw("a");
  }
  EXPECT_LE(got.at('a'), 50);
}

TEST(FairOrder, ALaneGoesWithItsLastCall) {
  FairQueue queue;
  std::deque<Waiting> requests(3);
  const auto come = [&](std::size_t i, BudgetId model) -> Lane& {
    Lane& lane = queue.push(requests[i], {.key = 1, .account = 2, .model = model, .sub_lane = {}});
    if (!lane.in) queue.order().push(lane);
    return lane;
  };
  Lane &one = come(0, 3), &two = come(1, 4);
  const KeyTurns& key = *one.of;
  queue.serve(one);
  queue.drop(one);
  EXPECT_EQ(key.lanes.size(), 1u);
  EXPECT_EQ(&come(2, 4), &two);
  queue.remove(requests[1]);
  queue.remove(requests[2]);
  queue.drop(two);
  EXPECT_TRUE(key.lanes.empty());
  EXPECT_EQ(queue.verify(), "");
}

TEST(FairOrder, ATurnThatAKeyTakesElsewhereIsNewsWhereItsOnlyLaneWaits) {
  Desk desk(all_of({account({}), limited(Scope::model, "m", {{Meter::tokens, 100}})}));
  desk.submit("first", {.key = "c", .model = "m", .tokens = 50});
  EXPECT_EQ(desk.pass(), "first");
  desk.submit("large", {.key = "a", .model = "m", .tokens = 80});
  EXPECT_EQ(desk.pass(), "") << "no room at the model";
  desk.submit("elsewhere", {.key = "a", .model = "n", .tokens = 10});
  EXPECT_EQ(desk.pass(), "elsewhere");
  desk.submit("small", {.key = "c", .model = "m", .tokens = 10});
  EXPECT_EQ(desk.pass(), "") << "there is room, but the other comes first";
  desk.settle("elsewhere", used(1'000, 0));
  EXPECT_EQ(desk.pass(), "small") << "and now it does not";
}

TEST(FairOrder, MoreSubLanesThanThereIsRoomForShareOne) {
  Desk desk(one_at_a_time());
  const int count = static_cast<int>(FairQueue::sub_lanes_max) + 50;
  for (int i = 0; i < count; ++i) desk.submit("a" + std::to_string(i), {.lane = "lane" + std::to_string(i)});
  std::string text = turns(desk, count);
  EXPECT_EQ(std::count(text.begin(), text.end(), ' '), count - 1);
  // Those beyond the bound stand in one line: the last of them comes after all others.
  EXPECT_TRUE(text.ends_with("a" + std::to_string(count - 2) + " a" + std::to_string(count - 1)));
}

TEST(FairOrder, SubLanesAreBounded) {
  FairQueue queue;
  std::deque<Waiting> requests(FairQueue::sub_lanes_max + 50);
  std::size_t most = 0;
  for (std::size_t i = 0; i < requests.size(); ++i) {
    const std::string name = std::to_string(i);
    const Lane& lane =
        queue.push(requests[i], {.key = 1, .account = 2, .model = i % 3 == 0 ? 3u : 4u, .sub_lane = name});
    most = std::max(most, lane.of->sub_lanes.size());
  }
  EXPECT_EQ(most, FairQueue::sub_lanes_max + 1);  // and the one that is shared
  EXPECT_EQ(queue.verify(), "");
  for (Waiting& request : requests) queue.remove(request);
  EXPECT_EQ(queue.verify(), "");
}

// The one that goes used to be the first of a hash table.
TEST(FairOrder, TheSubLaneThatMakesRoomIsTheOneWithTheLeastToRemember) {
  FairQueue queue;
  std::deque<Waiting> requests(FairQueue::sub_lanes_max + 1);
  const auto come = [&](std::size_t i) -> Lane& {
    return queue.push(requests[i], {.key = 1, .account = 2, .sub_lane = std::to_string(i)});
  };
  Lane& lane = come(0);
  for (std::size_t i = 1; i < FairQueue::sub_lanes_max; ++i) come(i);
  queue.order().push(lane);
  queue.remove(requests[7]);
  queue.remove(requests[3]);
  for (std::size_t i = 0; i + 2 < FairQueue::sub_lanes_max; ++i) queue.serve(lane);  // each has had one token
  come(FairQueue::sub_lanes_max);
  const auto& names = lane.of->sub_lanes;
  EXPECT_EQ(names.size(), FairQueue::sub_lanes_max);
  EXPECT_FALSE(names.contains("3")) << "of those that used nothing the first by name";
  EXPECT_TRUE(names.contains("7"));
  EXPECT_TRUE(names.contains("256"));
}

// Every model name has a lane of its own; the second engineer used to wait behind all calls of the first one.
TEST(FairOrder, SubLanesShareTheirKeyEquallyWhateverModelTheyAskFor) {
  Desk desk(one_at_a_time());
  fill(desk, "a", 90, {.key = "k", .model = "m1", .lane = "one"});
  fill(desk, "b", 10, {.key = "k", .model = "m2", .lane = "two"});
  fill(desk, "c", 10, {.key = "k", .model = "m1", .lane = "three"});
  EXPECT_EQ(turns(desk, 6), "a0 b0 c0 a1 b1 c1");
}

TEST(FairOrder, ASubLaneThatAsksForManyModelsGainsNothing) {
  Desk desk(one_at_a_time());
  for (int i = 0; i < 200; ++i)
    desk.submit("a" + std::to_string(i), {.key = "k", .model = "m" + std::to_string(i % 20), .lane = "one"});
  fill(desk, "b", 200, {.key = "k", .model = "m0", .lane = "two"});
  const auto got = shares(desk, 10, 1'000);
  EXPECT_NEAR(got.at('a'), 500, 20);
  EXPECT_NEAR(got.at('b'), 500, 20);
}

TEST(FairOrder, ASubLaneWhoseModelWasPausedForLongDoesNotTakeEverythingAfterwards) {
  Desk desk(one_at_a_time());
  Rng rng(1);
  UpstreamReport report;
  report.budget = desk.scheduler.budget(Scope::model, "m");
  report.pause_until = start + 600s;
  desk.scheduler.observe(report, desk.now, rng);
  fill(desk, "p", 2'000, {.key = "k", .model = "m", .lane = "one", .tokens = 100});
  fill(desk, "q", 4'000, {.key = "k", .model = "n", .lane = "two", .tokens = 100});
  EXPECT_EQ(shares(desk, 100, 150'000).at('q'), 150'000);
  desk.now = start + 600s;
  const auto got = shares(desk, 100, 200'000);
  EXPECT_GT(got.at('q'), 60'000);
  EXPECT_GT(got.at('p'), 100'000);
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

// --- Nobody starves ---

TEST(FairOrder, ALargeHeadIsNotOvertakenByWhatWouldFit) {
  Desk desk(all_of({account({{Meter::tokens, 100}})}));
  desk.submit("first", {.key = "a", .tokens = 50});
  desk.pass();
  desk.submit("large", {.key = "b", .tokens = 80});
  for (int i = 0; i < 10; ++i) {
    desk.now += 5s;
    desk.submit("small" + std::to_string(i), {.key = "c", .tokens = 5});
    EXPECT_EQ(desk.pass(), "");
  }
  EXPECT_EQ(desk.pass_when_woken(), "large small0 small1 small2 small3");
}

TEST(FairOrder, AKeyWithoutRoomDoesNotHoldUpOthers) {
  Desk desk(all_of({key("a", {{Meter::tokens, 10}})}));
  desk.submit("a1", {.key = "a"});
  desk.submit("a2", {.key = "a"});
  desk.submit("b1", {.key = "b"});
  EXPECT_EQ(desk.pass(), "a1 b1");
  desk.submit("b2", {.key = "b"});
  EXPECT_EQ(desk.pass(), "b2");
  EXPECT_EQ(desk.pass_when_woken(), "a2");
}

TEST(FairOrder, AModelWithoutRoomDoesNotHoldUpOtherModels) {
  Desk desk(all_of({limited(Scope::model, "m", {{Meter::tokens, 10}})}));
  desk.submit("a1", {.model = "m"});
  desk.submit("a2", {.model = "m"});
  desk.submit("a3", {.model = "n"});
  EXPECT_EQ(desk.pass(), "a1 a3");
  EXPECT_EQ(desk.pass_when_woken(), "a2");
}

TEST(FairOrder, TheFirstOfATeamIsNotOvertakenWithinIt) {
  Desk desk(all_of({limited(Scope::team, "t", {{Meter::tokens, 100}})}));
  desk.submit("first", {.key = "a", .team = "t", .tokens = 50});
  desk.pass();
  desk.submit("large", {.key = "b", .team = "t", .tokens = 80});
  desk.submit("small", {.key = "c", .team = "t", .tokens = 5});
  desk.submit("other", {.key = "d", .tokens = 5});
  EXPECT_EQ(desk.pass(), "other");
  desk.now += 30s;
  desk.submit("small2", {.key = "e", .team = "t", .tokens = 5});
  EXPECT_EQ(desk.pass(), "");
  EXPECT_EQ(desk.pass_when_woken(), "large small small2");
}

TEST(FairOrder, WhenTheFirstOfATeamLeavesTheNextIsAsked) {
  Desk desk(all_of({limited(Scope::team, "t", {{Meter::tokens, 100}})}));
  desk.submit("first", {.key = "a", .team = "t", .tokens = 50});
  desk.pass();
  desk.submit("large", {.key = "b", .team = "t", .tokens = 80});
  desk.submit("small", {.key = "c", .team = "t", .tokens = 5});
  EXPECT_EQ(desk.pass(), "");
  desk.withdraw("large");
  EXPECT_EQ(desk.pass(), "small");
}

TEST(FairOrder, ASmallerRequestInFrontOfAParkedOneIsAsked) {
  Desk desk(all_of({key("k", {{Meter::tokens, 100}})}));
  desk.submit("first", {.tokens = 50});
  desk.pass();
  desk.now += 1s;
  desk.submit("large", {.tokens = 80});
  EXPECT_EQ(desk.pass(), "");
  desk.submit("retry", {.tokens = 20, .arrived = start});
  EXPECT_EQ(desk.pass(), "retry");
}

TEST(FairOrder, ConcurrencyOfAKeyParksIt) {
  Desk desk(all_of({key("a", {{Meter::in_flight, 2}})}));
  fill(desk, "a", 4, {.key = "a"});
  fill(desk, "b", 2, {.key = "b"});
  EXPECT_EQ(desk.pass(), "a0 b0 a1 b1");
  desk.settle("a1", used(10, 0));
  EXPECT_EQ(desk.pass(), "a2");
  desk.settle("a0", used(10, 0));
  desk.settle("a2", used(10, 0));
  EXPECT_EQ(desk.pass(), "a3");
}

// Several lanes wait at their key and at their team, each the first of one: they used to send each other back and forth
// for ever.
TEST(FairOrder, LanesThatWaitAtTwoPlacesDoNotChaseEachOther) {
  Desk desk(all_of({key("a", {{Meter::requests, 1}}), limited(Scope::team, "t", {{Meter::requests, 2}})}));
  desk.submit("a0", {.key = "a", .team = "t", .model = "m0"});
  desk.submit("b0", {.key = "b", .team = "t", .model = "m0"});
  EXPECT_EQ(desk.pass(), "a0 b0");
  for (int i = 1; i < 5; ++i) {
    desk.submit("a" + std::to_string(i), {.key = "a", .team = "t", .model = "m" + std::to_string(i)});
    desk.submit("b" + std::to_string(i), {.key = "b", .team = "t", .model = "m" + std::to_string(i)});
    desk.submit("c" + std::to_string(i), {.key = "c", .team = "t", .model = "m" + std::to_string(i)});
  }
  std::string all;
  for (int i = 0; i < 12; ++i) {
    const std::string next = desk.pass_when_woken();
    if (next.empty()) break;
    all += next + ' ';
  }
  EXPECT_EQ(std::count(all.begin(), all.end(), ' '), 12) << all;
}

// The later of two instants used to be the only one at which anybody was asked again.
TEST(FairOrder, LanesOfSeveralAccountsAreEachWokenInTime) {
  Desk desk(all_of({key("k", {{Meter::tokens, 100}})}));
  desk.submit("a", {.tokens = 40});
  EXPECT_EQ(desk.pass(), "a");
  desk.now += 20s;
  desk.submit("b", {.tokens = 60});
  EXPECT_EQ(desk.pass(), "b");
  desk.submit("small", {.account = "one", .tokens = 30});
  EXPECT_EQ(desk.pass(), "");
  desk.submit("large", {.account = "two", .tokens = 90});
  EXPECT_EQ(desk.pass(), "");
  EXPECT_EQ(desk.pass_when_woken(), "small");
  EXPECT_LT(desk.now, start + 61s);
  EXPECT_EQ(desk.pass_when_woken(), "large");
}

// The first of a lane that was about to be asked left, and nobody was asked any more.
TEST(FairOrder, ALargeRequestAtOneAccountIsNotStarvedBySmallOnesOfItsKeyAtAnother) {
  Desk desk(all_of({key("a", {{Meter::tokens, 100}})}));
  for (int i = 0; i < 10; ++i) {
    desk.submit("", {.key = "a", .account = "two", .tokens = 10});
    desk.pass();
    desk.now += 6s;
  }
  desk.now += 200ms;  // some room is free before anybody is asked
  desk.submit("large", {.key = "a", .account = "one", .tokens = 60});
  EXPECT_EQ(desk.pass(), "");
  desk.now += 1ms;
  std::string order;
  for (int i = 0; i < 12; ++i) {
    desk.submit("small", {.key = "a", .account = "two", .tokens = 10});
    const std::string passed = desk.pass();
    order += passed.empty() ? "." : passed;
    desk.now += 6s;
  }
  EXPECT_EQ(order.substr(0, 10), ".....large");
}

TEST(FairOrder, AnAccountWithoutRoomDoesNotHoldUpItsKeysOthers) {
  Desk desk(all_of({account({{Meter::in_flight, 0}}, "one"), key("a", {{Meter::in_flight, 1}})}));
  desk.submit("first", {.key = "a", .account = "two"});
  desk.submit("stuck", {.key = "a", .account = "one"});
  desk.submit("second", {.key = "a", .account = "two"});
  EXPECT_EQ(desk.pass(), "first");
  desk.settle("first");
  EXPECT_EQ(desk.pass(), "second");
  desk.settle("second");
}

TEST(FairOrder, APausedModelIsPassedByThoseWhoWaitForTheAccount) {
  Desk desk(all_of({account({{Meter::tokens, 20}})}));
  Rng rng(1);
  desk.submit("a", {.key = "a", .model = "m", .tokens = 10});
  EXPECT_EQ(desk.pass(), "a");
  desk.submit("b", {.key = "b", .model = "m", .tokens = 20});
  desk.submit("c", {.key = "c", .tokens = 10});
  EXPECT_EQ(desk.pass(), "");
  UpstreamReport report;
  report.budget = desk.scheduler.budget(Scope::model, "m");
  report.pause_until = start + 30s;
  desk.scheduler.observe(report, desk.now, rng);
  EXPECT_EQ(desk.pass(), "c");
}

TEST(FairOrder, ALaterRequestOfAnotherModelDoesNotTakeTheTurnOfAWaitingOne) {
  Desk desk(all_of({limited(Scope::model, "m", {{Meter::in_flight, 1}})}));
  desk.submit("a", {.key = "a", .model = "m"});
  EXPECT_EQ(desk.pass(), "a");
  desk.submit("b", {.key = "b", .model = "m", .tokens = 5});
  desk.submit("c", {.key = "c", .model = "m", .tokens = 5});
  desk.submit("b2", {.key = "b", .tokens = 20});  // b has had its turn with this
  EXPECT_EQ(desk.pass(), "b2");
  desk.settle("a");
  EXPECT_EQ(desk.pass(), "c");
  desk.settle("c");
  EXPECT_EQ(desk.pass(), "b");
  desk.settle("b");
  desk.settle("b2");
}

TEST(FairOrder, WhoLeavesWhileBeingAskedDoesNotHoldUpOthers) {
  Desk desk(all_of({account({{Meter::in_flight, 1}}), key("k", {{Meter::tokens, 100}})}));
  desk.submit("x", {.key = "x"});
  EXPECT_EQ(desk.pass(), "x");
  desk.submit("k0", {.model = "m0", .tokens = 100});
  desk.settle("x");
  EXPECT_EQ(desk.pass(), "k0");
  for (int i = 1; i < 4; ++i) {
    desk.submit("k" + std::to_string(i), {.model = "m" + std::to_string(i), .tokens = 20});
    desk.submit("l" + std::to_string(i), {.model = "m" + std::to_string(i), .tokens = 20});
  }
  desk.settle("k0");
  EXPECT_EQ(desk.pass(), "");
  desk.submit("y", {.key = "y"});
  EXPECT_EQ(desk.pass(), "y");
  desk.now += 61s;  // the key has room, the account has none
  EXPECT_EQ(desk.pass(), "");
  desk.withdraw("k1");
  EXPECT_EQ(desk.pass(), "");
  desk.settle("y");
  int passed = 0;
  for (std::string next; !(next = desk.pass_when_woken(1s)).empty(); ++passed) desk.settle(next);
  EXPECT_EQ(passed, 5);
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

// --- Being away does not make rich ---

// A lane that its model held up for a long time used to have saved up all of its turns, and then held up everybody.
TEST(FairOrder, WhoWasHeldUpForLongDoesNotTakeEverythingAfterwards) {
  Limits limits = one_at_a_time();
  Desk desk(limits);
  Rng rng(1);
  UpstreamReport report;
  report.budget = desk.scheduler.budget(Scope::model, "m");
  report.pause_until = start + 600s;
  desk.scheduler.observe(report, desk.now, rng);
  fill(desk, "p", 2'000, {.key = "p", .model = "m", .tokens = 100});
  fill(desk, "q", 2'000, {.key = "q", .model = "n", .tokens = 100});
  EXPECT_EQ(shares(desk, 100, 150'000).at('q'), 150'000);
  desk.now = start + 600s;
  fill(desk, "q_", 2'000, {.key = "q", .model = "n", .tokens = 100});
  const auto got = shares(desk, 100, 200'000);
  EXPECT_GT(got.at('q'), 60'000);
  EXPECT_GT(got.at('p'), 100'000);
}

// One call that waits for a model kept the turns of all that its key, its sub-lane or its team has at other models.
void pause(Desk& desk, const std::string& model, Duration time) {
  Rng rng(1);
  UpstreamReport report;
  report.budget = desk.scheduler.budget(Scope::model, model);
  report.pause_until = desk.now + time;
  desk.scheduler.observe(report, desk.now, rng);
}

TEST(FairOrder, ACallThatIsHeldUpSavesNoTurnsForTheOthersOfItsKey) {
  Desk desk(one_at_a_time());
  pause(desk, "m", 1h);
  desk.submit("k_held_up", {.key = "k", .model = "m"});
  fill(desk, "j", 60, {.key = "j", .model = "n", .tokens = 10'000});
  EXPECT_EQ(shares(desk, 10'000, 600'000).at('j'), 600'000);
  fill(desk, "k", 40, {.key = "k", .model = "n", .tokens = 10'000});
  fill(desk, "j_", 40, {.key = "j", .model = "n", .tokens = 10'000});
  const auto got = shares(desk, 10'000, 400'000);
  EXPECT_NEAR(got.at('k'), 200'000 + 65'536 / 2, 15'000);
}

TEST(FairOrder, ACallThatIsHeldUpSavesNoTurnsForTheOthersOfItsSubLane) {
  Desk desk(one_at_a_time());
  pause(desk, "m", 1h);
  desk.submit("a_held_up", {.model = "m", .lane = "a"});
  fill(desk, "b", 60, {.model = "n", .lane = "b", .tokens = 10'000});
  EXPECT_EQ(shares(desk, 10'000, 600'000).at('b'), 600'000);
  fill(desk, "a", 40, {.model = "n", .lane = "a", .tokens = 10'000});
  fill(desk, "b_", 40, {.model = "n", .lane = "b", .tokens = 10'000});
  const auto got = shares(desk, 10'000, 400'000);
  EXPECT_NEAR(got.at('a'), 200'000 + 65'536 / 2, 15'000);
}

TEST(FairOrder, ACallThatIsHeldUpSavesNoTurnsForTheOtherKeysOfItsTeam) {
  Desk desk(one_at_a_time({limited(Scope::team, "t", {}, 1)}));
  pause(desk, "m", 1h);
  desk.submit("held_up", {.key = "h", .team = "t", .model = "m"});
  fill(desk, "j", 60, {.key = "j", .model = "n", .tokens = 10'000});
  EXPECT_EQ(shares(desk, 10'000, 600'000).at('j'), 600'000);
  fill(desk, "k", 40, {.key = "k", .team = "t", .model = "n", .tokens = 10'000});
  fill(desk, "j_", 40, {.key = "j", .model = "n", .tokens = 10'000});
  const auto got = shares(desk, 10'000, 400'000);
  EXPECT_NEAR(got.at('k'), 200'000 + 65'536 / 2, 15'000);
}

TEST(FairOrder, ACallThatIsHeldUpSavesNoTurnsForThoseWhoAgeToItsClass) {
  Desk desk(one_at_a_time());
  pause(desk, "m", 1h);
  desk.submit("k_held_up", {.key = "k", .model = "m"});
  fill(desk, "j", 60, {.key = "j", .model = "n", .tokens = 10'000});
  EXPECT_EQ(shares(desk, 10'000, 600'000).at('j'), 600'000);
  fill(desk, "k", 40, {.key = "k", .model = "n", .priority = Priority::background, .tokens = 10'000});
  desk.now += 61s;
  fill(desk, "j_", 40, {.key = "j", .model = "n", .tokens = 10'000});
  const auto got = shares(desk, 10'000, 400'000);
  EXPECT_NEAR(got.at('k'), 200'000 + 65'536 / 2, 15'000);
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
