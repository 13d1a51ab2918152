// What upstreams say of their limits, and what they turn away, tightens the budgets.
#include "admission/admission_support.hpp"

namespace weir::admission::test {
namespace {

class Learns : public ::testing::Test {
 protected:
  void hear(const std::string& name, const SaidOfMeter& said, Scope scope = Scope::account) {
    desk.scheduler.hear(desk.tickets.at(name), scope, said, desk.now);
    desk.check();
  }
  void say_limit(const std::string& name, Tokens limit) {
    SaidOfMeter said;
    said.meter = Meter::tokens;
    said.limit = limit;
    hear(name, said);
  }
  void say_use(const std::string& name, std::optional<Tokens> limit, Tokens used, Scope scope = Scope::account) {
    SaidOfMeter said;
    said.meter = Meter::tokens;
    said.limit = limit;
    said.used = used;
    hear(name, said, scope);
  }
  void turn_away(const std::string& name, std::optional<Tokens> allowed = {}, Scope scope = Scope::account) {
    desk.now += 20ms;
    Crowding crowding;
    crowding.allowed = allowed;
    desk.scheduler.turned_away(desk.tickets.at(name), scope, crowding, desk.now);
    desk.check();
  }
  std::vector<LearnedView> learned(Scope scope = Scope::account, const std::string& name = "up") {
    return desk.scheduler.learned(desk.scheduler.budget(scope, name), desk.now);
  }
  // Submits until one waits; returns how many went.
  int fill(const Request& request, int most = 1'000) {
    int count = 0;
    for (; count < most; ++count) {
      desk.submit(std::to_string(made), request);
      if (desk.pass().empty()) return count;
      ++made;
    }
    return count;
  }

  Desk desk{all_of({account({{Meter::tokens, 1'000}})})};
  int made = 0;
};

TEST_F(Learns, ASmallerLimitHoldsAtOnceAndALargerOneNot) {
  desk.submit("a", {.tokens = 100});
  desk.pass();
  say_limit("a", 5'000);
  EXPECT_EQ(desk.view(Scope::account, "up", Meter::tokens).limit, 1'000);
  say_limit("a", 200);
  EXPECT_EQ(desk.view(Scope::account, "up", Meter::tokens).limit, 200);
  desk.submit("b", {.tokens = 100});
  EXPECT_EQ(desk.pass(), "b");
  desk.submit("c", {.tokens = 100});
  EXPECT_EQ(desk.pass(), "") << "300 of 200";
  EXPECT_EQ(desk.pass_when_woken(), "c");
  EXPECT_GT(desk.now, start + 60s);
}

TEST_F(Learns, TheLimitOfRunningCallsChangesUnderThem) {
  desk.submit("a", {.tokens = 100, .later = LaterCharge::as_produced, .output = 300});
  desk.pass();
  const Tokens before = desk.reserved();
  say_limit("a", 500);
  EXPECT_EQ(desk.reserved(), before) << "what is forecast of them stays";
  desk.settle("a", used(100, 50));
  EXPECT_EQ(desk.used(), 150);
  EXPECT_EQ(desk.reserved(), 0);
}

TEST_F(Learns, WhatWasLearnedExpires) {
  desk.submit("a", {.tokens = 100});
  desk.pass();
  say_limit("a", 200);
  ASSERT_EQ(learned().size(), 1u);
  EXPECT_EQ(learned()[0].meter, Meter::tokens);
  EXPECT_EQ(learned()[0].learned.source, Source::header);
  desk.now += 10min;
  EXPECT_TRUE(learned().empty());
  desk.submit("b", {.tokens = 300});
  EXPECT_EQ(desk.pass(), "b");
  EXPECT_EQ(desk.view(Scope::account, "up", Meter::tokens).limit, 1'000);
}

TEST_F(Learns, AnUnlimitedModelIsTightened) {
  desk.submit("a", {.model = "m", .tokens = 100});
  desk.pass();
  SaidOfMeter said;
  said.meter = Meter::requests;
  said.limit = 1;
  hear("a", said, Scope::model);
  desk.submit("b", {.key = "one", .model = "m"});
  desk.submit("c", {.key = "two", .model = "other"});
  EXPECT_EQ(desk.pass(), "c");
}

TEST_F(Learns, WhatOthersUsedOfTheAccountIsChargedHereToo) {
  desk.submit("a", {.tokens = 100});
  desk.pass();
  say_use("a", {}, 700);
  EXPECT_EQ(desk.used(), 700);
  say_use("a", {}, 100);  // it knows of less: nothing is taken back
  EXPECT_EQ(desk.used(), 700);
}

// As a bucket's: 1,000 a minute are 10 in 600 ms.
TEST_F(Learns, WhatOthersUsedComesBackEvenly) {
  desk.submit("a", {.tokens = 10});
  desk.pass();
  say_use("a", 1'000, 1'000);
  EXPECT_EQ(desk.used(), 1'000);
  desk.submit("b", {.tokens = 10});
  EXPECT_EQ(desk.pass(), "");
  EXPECT_EQ(desk.pass_when_woken(), "b");
  EXPECT_GE(desk.now, start + 600ms);
  EXPECT_LT(desk.now, start + 700ms);
  desk.submit("c", {.tokens = 500});
  EXPECT_EQ(desk.pass_when_woken(), "c");
  EXPECT_GE(desk.now, start + 30s);
  EXPECT_LT(desk.now, start + 33s) << "a sixteenth late";
}

TEST_F(Learns, OfALargerAccountOnlyTheRoomThatIsMissingCounts) {
  desk.submit("a", {.tokens = 100});
  desk.pass();
  say_use("a", 5'000, 4'000);  // 1,000 are left, more than ours
  EXPECT_EQ(desk.used(), 100);
  say_use("a", 5'000, 4'600);
  EXPECT_EQ(desk.used(), 600) << "400 are left";
  desk.submit("b", {.tokens = 500});
  EXPECT_EQ(desk.pass_when_woken(), "b");
  EXPECT_LT(desk.now, start + 2s) << "100 come back at 5,000 a minute";
}

TEST_F(Learns, WhatOthersUsedOfAModelWithoutALimitIsTheAccounts) {
  desk.submit("a", {.model = "m", .tokens = 100});
  desk.pass();
  say_use("a", 1'000, 700, Scope::model);
  EXPECT_EQ(desk.used(), 700);
}

TEST_F(Learns, ACountThatIsOldIsNotBelieved) {
  desk.submit("a", {.tokens = 100});
  desk.pass();
  desk.now += 5s;
  say_use("a", {}, 700);
  EXPECT_EQ(desk.used(), 100);
}

TEST_F(Learns, AReloadKeepsWhatWasLearnedUnlessItsLimitIsAnother) {
  desk.submit("a", {.tokens = 100});
  desk.pass();
  say_limit("a", 200);
  turn_away("a", 5);
  turn_away("a");
  desk.reconfigure(all_of({account({{Meter::tokens, 1'000}, {Meter::requests, 50}})}));
  EXPECT_EQ(desk.view(Scope::account, "up", Meter::tokens).limit, 200);
  EXPECT_EQ(learned().size(), 2u);
  desk.reconfigure(all_of({account({{Meter::tokens, 2'000}, {Meter::in_flight, 100}})}));
  EXPECT_EQ(desk.view(Scope::account, "up", Meter::tokens).limit, 2'000);
  EXPECT_TRUE(learned().empty());
}

TEST_F(Learns, SwitchedOffForgetsEverything) {
  desk.submit("a", {.tokens = 100});
  desk.pass();
  say_limit("a", 200);
  turn_away("a");
  Limits off = all_of({account({{Meter::tokens, 1'000}})});
  off.learn.enabled = false;
  desk.reconfigure(off);
  EXPECT_TRUE(learned().empty());
  EXPECT_EQ(desk.view(Scope::account, "up", Meter::tokens).limit, 1'000);
  say_limit("a", 200);
  EXPECT_TRUE(learned().empty());
}

TEST_F(Learns, TheNumberInARefusalIsTheCap) {
  EXPECT_EQ(fill({.tokens = 0}, 8), 8);
  turn_away("7", 5);
  desk.settle("7", {}, Ending::refused);
  ASSERT_EQ(learned().size(), 1u);
  EXPECT_EQ(learned()[0].meter, Meter::in_flight);
  EXPECT_EQ(learned()[0].learned.limit, 5);
  EXPECT_EQ(learned()[0].learned.source, Source::body);
  desk.submit("next", {.tokens = 0});
  EXPECT_EQ(desk.pass(), "");
  desk.settle("0", used(0, 0));
  desk.settle("1", used(0, 0));
  EXPECT_EQ(desk.pass(), "") << "five are under way";
  desk.settle("2", used(0, 0));
  EXPECT_EQ(desk.pass(), "next");
}

TEST_F(Learns, ANumberThatOthersUseUpIsNotWaitedFor) {
  EXPECT_EQ(fill({.tokens = 0}, 8), 8);
  turn_away("7", 50);
  ASSERT_EQ(learned().size(), 1u);
  EXPECT_EQ(learned()[0].learned.limit, 7) << "one less than were under way";
  EXPECT_EQ(learned()[0].learned.source, Source::outcome);
}

TEST_F(Learns, AConfiguredConcurrencyIsTightenedAndShown) {
  desk.reconfigure(all_of({account({{Meter::in_flight, 100}})}));
  EXPECT_EQ(fill({.tokens = 0}, 50), 50);
  turn_away("49");
  EXPECT_EQ(desk.view(Scope::account, "up", Meter::in_flight).limit, 46);
}

TEST_F(Learns, NothingKnownRampsUpAndASlotThatIsCutOffIsFreeAGuardLater) {
  desk.reconfigure(all_of({}));
  EXPECT_EQ(fill({.tokens = 0, .ramps = true}), 32);
  EXPECT_EQ(desk.pass_when_woken(), "32");
  EXPECT_EQ(desk.now, start + 250ms);
  Limits one = all_of({});
  one.learn.start = 1;
  Desk small(one);
  small.submit("a", {.ramps = true});
  small.submit("b", {.ramps = true});
  EXPECT_EQ(small.pass(), "a");
  small.settle("a", {}, Ending::cut_off);
  EXPECT_EQ(small.pass_when_woken(), "b");
  EXPECT_EQ(small.now, start + 50ms);
}

TEST_F(Learns, TheRampIsThatOfTheModelWhereThereIsOne) {
  desk.reconfigure(all_of({}));
  EXPECT_EQ(fill({.key = "one", .model = "m", .tokens = 0, .ramps = true}), 32);
  EXPECT_EQ(fill({.key = "two", .model = "other", .tokens = 0, .ramps = true}), 32);
  desk.submit("known", {.key = "three", .model = "known", .tokens = 0});
  EXPECT_EQ(desk.pass(), "known");
}

TEST_F(Learns, ARampIsQuickerThanCallsEndInPredictions) {
  desk.reconfigure(all_of({}));
  fill({.tokens = 0, .ramps = true});
  desk.now += 100s;
  desk.settle("0", used(0, 0));
  EXPECT_EQ(desk.pass(), "32");
  EXPECT_EQ(desk.submit("patient", {.tokens = 0, .patience = 2s, .ramps = true}), "");
  EXPECT_EQ(desk.submit("impatient", {.tokens = 0, .patience = 100ms, .ramps = true}), "deadline");
}

}  // namespace
}  // namespace weir::admission::test
