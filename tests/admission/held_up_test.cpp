// Who waits for whom where a budget has no room: nobody is overtaken and starves, nor holds up others, nor saves up
// turns.
#include <gtest/gtest.h>

#include <algorithm>

#include "admission/turns_support.hpp"

namespace weir::admission {
namespace {

using namespace test;

TEST(HeldUp, ALargeHeadIsNotOvertakenByWhatWouldFit) {
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

TEST(HeldUp, AKeyWithoutRoomDoesNotHoldUpOthers) {
  Desk desk(all_of({key("a", {{Meter::tokens, 10}})}));
  desk.submit("a1", {.key = "a"});
  desk.submit("a2", {.key = "a"});
  desk.submit("b1", {.key = "b"});
  EXPECT_EQ(desk.pass(), "a1 b1");
  desk.submit("b2", {.key = "b"});
  EXPECT_EQ(desk.pass(), "b2");
  EXPECT_EQ(desk.pass_when_woken(), "a2");
}

TEST(HeldUp, AModelWithoutRoomDoesNotHoldUpOtherModels) {
  Desk desk(all_of({limited(Scope::model, "m", {{Meter::tokens, 10}})}));
  desk.submit("a1", {.model = "m"});
  desk.submit("a2", {.model = "m"});
  desk.submit("a3", {.model = "n"});
  EXPECT_EQ(desk.pass(), "a1 a3");
  EXPECT_EQ(desk.pass_when_woken(), "a2");
}

TEST(HeldUp, TheFirstOfATeamIsNotOvertakenWithinIt) {
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

TEST(HeldUp, WhenTheFirstOfATeamLeavesTheNextIsAsked) {
  Desk desk(all_of({limited(Scope::team, "t", {{Meter::tokens, 100}})}));
  desk.submit("first", {.key = "a", .team = "t", .tokens = 50});
  desk.pass();
  desk.submit("large", {.key = "b", .team = "t", .tokens = 80});
  desk.submit("small", {.key = "c", .team = "t", .tokens = 5});
  EXPECT_EQ(desk.pass(), "");
  desk.withdraw("large");
  EXPECT_EQ(desk.pass(), "small");
}

TEST(HeldUp, ASmallerRequestInFrontOfAParkedOneIsAsked) {
  Desk desk(all_of({key("k", {{Meter::tokens, 100}})}));
  desk.submit("first", {.tokens = 50});
  desk.pass();
  desk.now += 1s;
  desk.submit("large", {.tokens = 80});
  EXPECT_EQ(desk.pass(), "");
  desk.submit("retry", {.tokens = 20, .arrived = start});
  EXPECT_EQ(desk.pass(), "retry");
}

TEST(HeldUp, ConcurrencyOfAKeyParksIt) {
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
TEST(HeldUp, LanesThatWaitAtTwoPlacesDoNotChaseEachOther) {
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
TEST(HeldUp, LanesOfSeveralAccountsAreEachWokenInTime) {
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
TEST(HeldUp, ALargeRequestAtOneAccountIsNotStarvedBySmallOnesOfItsKeyAtAnother) {
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

TEST(HeldUp, AnAccountWithoutRoomDoesNotHoldUpItsKeysOthers) {
  Desk desk(all_of({account({{Meter::in_flight, 0}}, "one"), key("a", {{Meter::in_flight, 1}})}));
  desk.submit("first", {.key = "a", .account = "two"});
  desk.submit("stuck", {.key = "a", .account = "one"});
  desk.submit("second", {.key = "a", .account = "two"});
  EXPECT_EQ(desk.pass(), "first");
  desk.settle("first");
  EXPECT_EQ(desk.pass(), "second");
  desk.settle("second");
}

TEST(HeldUp, APausedModelIsPassedByThoseWhoWaitForTheAccount) {
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

TEST(HeldUp, ALaterRequestOfAnotherModelDoesNotTakeTheTurnOfAWaitingOne) {
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

TEST(HeldUp, WhoLeavesWhileBeingAskedDoesNotHoldUpOthers) {
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

// --- Being away does not make rich ---

// A lane that its model held up for a long time used to have saved up all of its turns, and then held up everybody.
TEST(HeldUp, WhoWasHeldUpForLongDoesNotTakeEverythingAfterwards) {
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
// Here they get ahead of others by what may be caught up at most, 65,536 tokens.
void expect_it_saves_no_turns(Desk& desk, Request held_up, Request companion, Request other) {
  pause(desk, "m", 1h);
  held_up.model = "m";
  desk.submit("held_up", std::move(held_up));
  companion.model = other.model = "n";
  companion.tokens = other.tokens = 10'000;
  fill(desk, "other", 60, other);
  EXPECT_EQ(shares(desk, 10'000, 600'000).at('o'), 600'000);
  fill(desk, "companion", 40, companion);
  fill(desk, "other_", 40, other);
  EXPECT_NEAR(shares(desk, 10'000, 400'000).at('c'), 200'000 + 65'536 / 2, 15'000);
}

TEST(HeldUp, ACallThatIsHeldUpSavesNoTurnsForTheOthersOfItsKey) {
  Desk desk(one_at_a_time());
  expect_it_saves_no_turns(desk, {.key = "k"}, {.key = "k"}, {.key = "j"});
}

TEST(HeldUp, ACallThatIsHeldUpSavesNoTurnsForTheOthersOfItsSubLane) {
  Desk desk(one_at_a_time());
  expect_it_saves_no_turns(desk, {.lane = "a"}, {.lane = "a"}, {.lane = "b"});
}

TEST(HeldUp, ACallThatIsHeldUpSavesNoTurnsForTheOtherKeysOfItsTeam) {
  Desk desk(one_at_a_time({limited(Scope::team, "t", {}, 1)}));
  expect_it_saves_no_turns(desk, {.key = "h", .team = "t"}, {.key = "k", .team = "t"}, {.key = "j"});
}

TEST(HeldUp, ACallThatIsHeldUpSavesNoTurnsForThoseWhoAgeToItsClass) {
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

}  // namespace
}  // namespace weir::admission
