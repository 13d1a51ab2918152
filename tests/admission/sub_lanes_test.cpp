// The lanes and sub-lanes of a key: they share its turns, come and go.
#include <gtest/gtest.h>

#include <algorithm>
#include <deque>
#include <map>

#include "admission/turns_support.hpp"

namespace weir::admission {
namespace {

using namespace test;

TEST(SubLanes, SubLanesShareTheirKeyEqually) {
  Desk desk(one_at_a_time());
  fill(desk, "a", 90, {.key = "k", .lane = "one"});
  fill(desk, "b", 10, {.key = "k", .lane = "two"});
  fill(desk, "c", 10, {.key = "k", .lane = "three"});
  const auto got = shares(desk, 10, 300);
  EXPECT_NEAR(got.at('a'), 100, 10);
  EXPECT_NEAR(got.at('b'), 100, 10);
  EXPECT_NEAR(got.at('c'), 100, 10);
}

TEST(SubLanes, InventingSubLanesGainsNothing) {
  Desk desk(one_at_a_time());
  for (int i = 0; i < 400; ++i) desk.submit("a" + std::to_string(i), {.key = "a", .lane = "lane" + std::to_string(i)});
  fill(desk, "b", 400, {.key = "b"});
  const auto got = shares(desk, 10, 2'000);
  EXPECT_NEAR(got.at('a'), 1'000, 20);
  EXPECT_NEAR(got.at('b'), 1'000, 20);
}

TEST(SubLanes, AskingForManyModelsGainsNothing) {
  Desk desk(one_at_a_time());
  for (int i = 0; i < 200; ++i)
    desk.submit("a" + std::to_string(i), {.key = "a", .model = "m" + std::to_string(i % 20)});
  fill(desk, "b", 200, {.key = "b", .model = "m0"});
  const auto got = shares(desk, 10, 1'000);
  EXPECT_NEAR(got.at('a'), 500, 20);
  EXPECT_NEAR(got.at('b'), 500, 20);
}

// Lanes come and go with their calls; what a key has had stays with it.
TEST(SubLanes, AskingForAnotherModelEachTimeGainsNothing) {
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

TEST(SubLanes, ALaneGoesWithItsLastCall) {
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

TEST(SubLanes, ATurnThatAKeyTakesElsewhereIsNewsWhereItsOnlyLaneWaits) {
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

TEST(SubLanes, MoreSubLanesThanThereIsRoomForShareOne) {
  Desk desk(one_at_a_time());
  const int count = static_cast<int>(FairQueue::sub_lanes_max) + 50;
  for (int i = 0; i < count; ++i) desk.submit("a" + std::to_string(i), {.lane = "lane" + std::to_string(i)});
  std::string text = turns(desk, count);
  EXPECT_EQ(std::count(text.begin(), text.end(), ' '), count - 1);
  // Those beyond the bound stand in one line: the last of them comes after all others.
  EXPECT_TRUE(text.ends_with("a" + std::to_string(count - 2) + " a" + std::to_string(count - 1)));
}

TEST(SubLanes, SubLanesAreBounded) {
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
TEST(SubLanes, TheSubLaneThatMakesRoomIsTheOneWithTheLeastToRemember) {
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
  for (std::size_t i = 0; i + 2 < FairQueue::sub_lanes_max; ++i) {  // each has had one token
    SubLane& served = queue.serve(lane);
    if (served.name == "1") queue.settle(served, lane.of->shares[0], 0);
  }
  come(FairQueue::sub_lanes_max);
  const auto& names = lane.of->sub_lanes;
  EXPECT_EQ(names.size(), FairQueue::sub_lanes_max);
  EXPECT_FALSE(names.contains("3")) << "of those that used nothing the first by name";
  EXPECT_TRUE(names.contains("7"));
  EXPECT_TRUE(names.contains("1")) << "it has used something, and is done";
  EXPECT_TRUE(names.contains("256"));
}

// Every model name has a lane of its own; the second engineer used to wait behind all calls of the first one.
TEST(SubLanes, SubLanesShareTheirKeyEquallyWhateverModelTheyAskFor) {
  Desk desk(one_at_a_time());
  fill(desk, "a", 90, {.key = "k", .model = "m1", .lane = "one"});
  fill(desk, "b", 10, {.key = "k", .model = "m2", .lane = "two"});
  fill(desk, "c", 10, {.key = "k", .model = "m1", .lane = "three"});
  EXPECT_EQ(turns(desk, 6), "a0 b0 c0 a1 b1 c1");
}

TEST(SubLanes, ASubLaneThatAsksForManyModelsGainsNothing) {
  Desk desk(one_at_a_time());
  for (int i = 0; i < 200; ++i)
    desk.submit("a" + std::to_string(i), {.key = "k", .model = "m" + std::to_string(i % 20), .lane = "one"});
  fill(desk, "b", 200, {.key = "k", .model = "m0", .lane = "two"});
  const auto got = shares(desk, 10, 1'000);
  EXPECT_NEAR(got.at('a'), 500, 20);
  EXPECT_NEAR(got.at('b'), 500, 20);
}

TEST(SubLanes, ASubLaneWhoseModelWasPausedForLongDoesNotTakeEverythingAfterwards) {
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

}  // namespace
}  // namespace weir::admission
