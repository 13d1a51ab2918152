// When a call is said to start beside when it does: the queue is let through in virtual time.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <sstream>

#include "admission/admission_support.hpp"

namespace weir::admission {
namespace {

using namespace test;

double seconds_from(Instant begin, Instant end) {
  return std::chrono::duration<double>(end - begin).count();
}

// Fills everything, then lets `crowd` submit. Predicts for the calls named "x..." and compares with when they start;
// each is answered as soon as it is sent.
class Line {
 public:
  explicit Line(std::vector<BudgetLimits> budgets) : desk_(limits_of(std::move(budgets))) { desk_.checks = false; }

  Desk& desk() { return desk_; }
  void submit(int count, const Request& request, const std::string& prefix = "c") {
    for (int i = 0; i < count; ++i) ASSERT_EQ(desk_.submit(prefix + std::to_string(++last_), request), "");
  }
  // Everything that fits goes; it counts from now on.
  void fill(int count, const Request& request) {
    submit(count, request);
    end(desk_.pass());
  }

  void expect_starts_as_predicted() {
    const Instant begin = desk_.now;
    std::map<std::string, Instant> predicted;
    for (const auto& [name, ticket] : desk_.tickets) {
      if (!name.starts_with('x')) continue;
      const auto place = desk_.scheduler.place_of(ticket, begin);
      ASSERT_TRUE(place) << name;
      predicted[name] = place->starts_at;
    }
    ASSERT_FALSE(predicted.empty());
    while (desk_.scheduler.queued() > 0) {
      for (const Decision& decision : dispatch_all(desk_.scheduler, desk_.now)) {
        const std::string& name = desk_.names[decision.ticket.index];
        desk_.scheduler.sent(decision.ticket, desk_.now);
        desk_.scheduler.settle(decision.ticket, {}, Ending::complete, desk_.now);
        if (!predicted.contains(name)) continue;
        EXPECT_NEAR(seconds_from(begin, predicted[name]), seconds_from(begin, desk_.now), 0.1) << name;
      }
      const auto next = desk_.scheduler.next_wakeup();
      ASSERT_TRUE(next);
      desk_.now = std::max(desk_.now, *next);
    }
  }

 private:
  static Limits limits_of(std::vector<BudgetLimits> budgets) {
    Limits limits = all_of(std::move(budgets));
    limits.age_step = 1'000h;
    return limits;
  }
  void end(const std::string& names) {
    std::string name;
    for (std::istringstream each(names); each >> name;) desk_.settle(name);
  }

  Desk desk_;
  int last_ = 0;
};

TEST(Prediction, OfAKeyThatWaitsForItself) {
  Line line({key("k", {{Meter::requests, 60}})});
  line.fill(60, {});
  line.submit(300, {});
  line.submit(3, {}, "x");
  line.submit(60, {.key = "other"});
  line.expect_starts_as_predicted();
}

TEST(Prediction, OfATeamCountsTheCallsOfAllItsKeys) {
  Line line({limited(Scope::team, "t", {{Meter::requests, 60}})});
  line.fill(60, {.team = "t"});
  for (int i = 0; i < 50; ++i) line.submit(20, {.key = "k" + std::to_string(i), .team = "t"});
  line.fill(0, {});  // those who come later see them parked
  line.submit(1, {.key = "k3", .team = "t"}, "x");
  EXPECT_NEAR(
      static_cast<double>(line.desk().scheduler.place_of(line.desk().tickets["x1061"], line.desk().now)->position),
      1'000, 50);
  line.expect_starts_as_predicted();
}

TEST(Prediction, OfAModelCountsThoseWhoAreParkedThere) {
  Line line({limited(Scope::model, "m", {{Meter::requests, 60}})});
  line.fill(60, {.model = "m"});
  for (int i = 0; i < 100; ++i) line.submit(20, {.key = "k" + std::to_string(i), .model = "m"});
  line.fill(0, {});
  line.submit(1, {.key = "k7", .model = "m"}, "x");
  line.expect_starts_as_predicted();
}

TEST(Prediction, OfAModelIsNotThatOfAnotherModel) {
  Line line({account({{Meter::tokens, 100'000}}), limited(Scope::model, "small", {{Meter::tokens, 2'000}})});
  line.fill(1, {.key = "q", .model = "small", .tokens = 100});
  line.fill(99, {.model = "big", .tokens = 1'000});
  for (int i = 0; i < 20; ++i) line.submit(10, {.key = "k" + std::to_string(i), .model = "big", .tokens = 1'000});
  line.submit(1, {.key = "y", .model = "small", .priority = Priority::normal, .tokens = 1'000}, "x");
  line.expect_starts_as_predicted();
}

TEST(Prediction, OfADayOfAModelCountsItsOwnCallsOnly) {
  BudgetLimits small = limited(Scope::model, "small", {{Meter::requests_day, 250}});
  small.day_resets = start + 12h;
  Desk desk(all_of({account({{Meter::requests, 100}}), small}));
  desk.submit("z", {.key = "z", .model = "small"});
  for (int i = 0; i < 99; ++i) desk.submit("f" + std::to_string(i), {.model = "big"});
  desk.pass();
  for (int i = 0; i < 300; ++i) desk.submit("b" + std::to_string(i), {.model = "big"});
  EXPECT_EQ(desk.submit("y", {.key = "y", .model = "small", .priority = Priority::normal, .patience = 10min}), "");
}

TEST(Prediction, OfAnAccountBetweenKeysOfDifferentWeightAndSize) {
  Line line({account({{Meter::tokens, 10'000}}), key("a", {}, 3), key("b", {}, 1)});
  line.fill(10, {.tokens = 1'000});
  line.submit(200, {.key = "a", .tokens = 100});
  line.submit(100, {.key = "b", .tokens = 400});
  line.submit(1, {.key = "a", .tokens = 100}, "x");
  line.submit(1, {.key = "b", .tokens = 400}, "x");
  line.submit(50, {.key = "a", .tokens = 100});
  line.expect_starts_as_predicted();
}

TEST(Prediction, OfAnAccountBetweenTeamsAndSubLanes) {
  Line line({account({{Meter::tokens, 10'000}}), limited(Scope::team, "t", {}, 2), limited(Scope::team, "u", {}, 1)});
  line.fill(10, {.tokens = 1'000});
  for (const std::string name : {"a", "b", "c"}) line.submit(100, {.key = name, .team = "t", .tokens = 100});
  line.submit(200, {.key = "d", .team = "u", .lane = "one", .tokens = 100});
  line.submit(20, {.key = "d", .team = "u", .lane = "two", .tokens = 100});
  line.submit(1, {.key = "d", .team = "u", .lane = "two", .tokens = 100}, "x");
  line.submit(1, {.key = "d", .team = "u", .lane = "one", .tokens = 100}, "x");
  line.submit(1, {.key = "b", .team = "t", .tokens = 100}, "x");
  line.submit(100, {.key = "e", .priority = Priority::normal, .tokens = 100});
  line.expect_starts_as_predicted();
}

BudgetLimits two_a_second() {
  BudgetLimits up = account({{Meter::requests, 2}});
  up.window = 1s;
  return up;
}

// Who comes first goes first where nobody has been served more than others: of keys, of sub-lanes, of teams.
TEST(Prediction, OfOneCallOfEachIsItsPlaceInLine) {
  for (const std::string of : {"keys", "lanes", "teams"}) {
    std::vector<BudgetLimits> budgets = {two_a_second()};
    for (int i = 0; i <= 30; ++i) budgets.push_back(limited(Scope::team, "t" + std::to_string(i), {}, 1));
    Line line(budgets);
    Desk& desk = line.desk();
    line.fill(2, {.key = "first"});
    const auto request_of = [&](int number) {
      Request request;
      if (of != "lanes") request.key = "k" + std::to_string(number);
      if (of == "lanes") request.lane = std::to_string(number);
      if (of == "teams") request.team = "t" + std::to_string(number);
      return request;
    };
    for (int i = 1; i <= 30; ++i) {
      line.submit(1, request_of(i % 30), "x");
      EXPECT_EQ(desk.scheduler.place_of(desk.tickets["x" + std::to_string(i + 2)], desk.now)->position, i) << of;
    }
    Request late = request_of(30);
    late.patience = 5s;
    EXPECT_EQ(desk.submit("late", late), "deadline") << of;
    EXPECT_EQ(desk.rejected.requests_ahead, 30) << of;
    line.expect_starts_as_predicted();
  }
}

// Beside many the outline is not drawn for every look.
TEST(Prediction, OfOneCallOfEachKeyIsNearItsPlaceInLineBesideMany) {
  Line line({two_a_second()});
  Desk& desk = line.desk();
  for (int i = 1; i <= 300; ++i) {
    line.submit(1, {.key = "k" + std::to_string(i)}, "x");
    const auto place = desk.scheduler.place_of(desk.tickets["x" + std::to_string(i)], desk.now);
    EXPECT_NEAR(static_cast<double>(place->position), i, i <= 64 ? 0 : i / 7.0 + 1);
  }
}

// The lanes of a key for several models share its turns.
TEST(Prediction, OfAnAccountDoesNotCountAKeyOnceForEachModel) {
  Line line({account({{Meter::requests, 60}})});
  line.fill(60, {});
  for (int i = 0; i < 8; ++i) line.submit(20, {.key = "many", .model = "m" + std::to_string(i)});
  line.submit(20, {.key = "one"});
  line.submit(1, {.key = "one"}, "x");
  line.expect_starts_as_predicted();
}

// The upstream charges the cap, the caller's own budget what was used.
TEST(Prediction, OfAnAccountCountsWhatTheUpstreamCounts) {
  Desk desk(all_of({account({{Meter::tokens, 1'000'000}})}));
  desk.checks = false;
  Submission s;
  s.key = desk.scheduler.budget(Scope::key, "k");
  s.account = desk.scheduler.budget(Scope::account, "up");
  s.own.tokens = s.own.input = 1'000;
  s.own.later = LaterCharge::as_produced;
  s.own.later_output = 500;
  s.upstream.tokens = 100'000;
  s.arrived = start;
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(std::holds_alternative<Ticket>(desk.scheduler.submit(s, start)));
  for (const Decision& decision : dispatch_all(desk.scheduler, start)) desk.scheduler.sent(decision.ticket, start);
  EXPECT_EQ(desk.scheduler.running(), 10u);
  const auto last = std::get<Ticket>(desk.scheduler.submit(s, start));
  EXPECT_NEAR(seconds_from(start, desk.scheduler.place_of(last, start)->starts_at), 600.5, 0.1);
  s.deadline = start + 2min;
  const auto refused = desk.scheduler.submit(s, start);
  ASSERT_TRUE(std::holds_alternative<Rejection>(refused));
  EXPECT_NEAR(seconds_from(start, std::get<Rejection>(refused).room_at), 600.5, 0.1);
}

constexpr Request answered = {.tokens = 10, .later = LaterCharge::as_produced, .output = 508, .patience = 60s};

// A hundred and fifty calls that are expected to take 518 tokens each, and take 20.
void expect_all_to_pass(Desk& desk) {
  desk.checks = false;
  std::vector<std::string> running;
  const auto pass = [&] {
    std::istringstream words(desk.pass());
    for (std::string name; words >> name;) running.push_back(name);
  };
  for (int i = 0; i < 150; ++i) {
    ASSERT_EQ(desk.submit("c" + std::to_string(i), answered), "") << i;
    pass();
  }
  EXPECT_LT(running.size(), 150u);
  std::size_t over = 0;
  for (; over < running.size(); ++over) {
    desk.now += 10ms;
    desk.settle(running[over], used(10, 10));
    pass();
  }
  EXPECT_EQ(over, 150u);
}

TEST(Prediction, NobodyIsRefusedForTheDayByWhatIsExpected) {
  BudgetLimits up = account({{Meter::tokens_day, 50'000}});
  up.day_resets = start + 5h;
  Desk desk(all_of({up}));
  expect_all_to_pass(desk);
  EXPECT_EQ(desk.used(Meter::tokens_day), 3'000);
}

TEST(Prediction, NobodyIsRefusedForTheDayByWhatIsExpectedOfThoseWhoWait) {
  BudgetLimits up = account({{Meter::tokens_day, 20'000}, {Meter::in_flight, 4}});
  up.day_resets = start + 5h;
  Desk desk(all_of({up}));
  expect_all_to_pass(desk);
}

TEST(Prediction, NobodyIsRefusedForADeadlineByWhatIsExpected) {
  Desk of_account(all_of({account({{Meter::tokens, 20'000}})}));
  expect_all_to_pass(of_account);
  Desk of_key(all_of({key("k", {{Meter::tokens, 20'000}})}));
  expect_all_to_pass(of_key);
}

TEST(Prediction, PromptsOfThoseWhoWaitAreKnown) {
  Desk desk(all_of({account({{Meter::tokens, 1'000}})}));
  for (int i = 0; i < 5; ++i)
    desk.submit("c" + std::to_string(i), {.tokens = 600, .later = LaterCharge::as_produced, .output = 100});
  EXPECT_EQ(desk.pass(), "c0");
  const Request late = {.tokens = 600, .later = LaterCharge::as_produced, .output = 100, .patience = 2min};
  EXPECT_EQ(desk.submit("late", late), "deadline");
  EXPECT_GT(desk.rejected.room_at, start + 2min);
}

TEST(Prediction, ADayIsOverByWhatIsSpent) {
  BudgetLimits up = account({{Meter::tokens_day, 1'000}});
  up.day_resets = start + 5h;
  Desk desk(all_of({up}));
  desk.submit("c", {.tokens = 990});
  desk.pass();
  EXPECT_EQ(desk.submit("late", answered), "day");
  EXPECT_EQ(desk.rejected.room_at, start + 5h + 50ms);
  EXPECT_EQ(desk.rejected.meter, Meter::tokens_day);
}

// A queue of calls whose prompt is charged as part of their cap, beside one that may wait for so long.
TEST(Prediction, OfCallsThatAreChargedTheLargerOfPromptAndCap) {
  Desk desk(all_of({account({{Meter::tokens, 4'000}})}));
  desk.checks = false;
  Submission s;
  s.key = desk.scheduler.budget(Scope::key, "k");
  s.account = desk.scheduler.budget(Scope::account, "up");
  s.upstream.tokens = s.upstream.output = 1'000;
  s.upstream.input = 700;
  s.arrived = start;
  for (int i = 0; i < 20; ++i) desk.scheduler.submit(s, start);
  for (const Decision& decision : dispatch_all(desk.scheduler, start)) desk.scheduler.sent(decision.ticket, start);
  s.deadline = start + 302s;  // in the sixth window
  const auto answer = desk.scheduler.submit(s, start);
  ASSERT_TRUE(std::holds_alternative<Ticket>(answer));
  EXPECT_NEAR(seconds_from(start, desk.scheduler.place_of(std::get<Ticket>(answer), start)->starts_at), 300.3, 0.2);
}

TEST(Prediction, FollowsTheQueueBesideManyKeys) {
  Desk desk(all_of({account({{Meter::in_flight, 0}})}));
  desk.checks = false;
  const auto come = [&](const std::string& round) {
    for (int i = 0; i < 40; ++i) desk.submit(round + std::to_string(i), {.key = "k" + std::to_string(i)});
  };
  const auto position = [&](const char* name) {
    return static_cast<double>(desk.scheduler.place_of(desk.tickets[name], desk.now)->position);
  };
  come("a");
  come("b");
  EXPECT_NEAR(position("b7"), 41, 25);
  come("c");
  come("d");
  EXPECT_NEAR(position("d7"), 121, 25);
}

// Used to be refused as if it stood last.
TEST(Prediction, OfARetryIsThatOfItsOldPlace) {
  Line line({account({{Meter::requests, 60}})});
  Desk& desk = line.desk();
  line.fill(60, {});
  desk.now += 10s;
  line.submit(1'200, {});
  EXPECT_EQ(desk.submit("retry", {.arrived = start + 5s, .patience = 10min}), "");
  EXPECT_EQ(desk.scheduler.place_of(desk.tickets["retry"], desk.now)->position, 1);
  desk.submit("x", {.arrived = start + 6s});
  EXPECT_EQ(desk.scheduler.place_of(desk.tickets["x"], desk.now)->position, 2);
  line.expect_starts_as_predicted();
}

// Used to be one too early behind a call with the same place: the others were rounded with the own key and without it.
TEST(Prediction, PlacesInALaneAreDistinctAndInOrder) {
  for (Tokens size = 440; size <= 470; ++size) {
    Desk desk(all_of({account({{Meter::in_flight, 0}})}));
    for (int i = 0; i < 12; ++i) desk.submit("a" + std::to_string(i), {.key = "a", .tokens = size});
    desk.submit("b", {.key = "b", .tokens = size});
    Tokens before = 0;
    for (int i = 0; i < 12; ++i) {
      const Tokens position = desk.scheduler.place_of(desk.tickets["a" + std::to_string(i)], desk.now)->position;
      EXPECT_GT(position, before) << size << ' ' << i;
      before = position;
    }
    EXPECT_EQ(before, 13) << size;
  }
}

TEST(Prediction, NamesWhatOfALimitHoldsTheCallAndWhatItNeeds) {
  const auto held = [](BudgetLimits limits, Tokens tokens) {
    Desk desk(all_of({std::move(limits)}));
    desk.submit("first", {.tokens = tokens});
    desk.pass();
    desk.submit("second", {.tokens = tokens});
    return *desk.scheduler.place_of(desk.tickets["second"], desk.now);
  };
  BudgetLimits paced = account({{Meter::requests, 60}}), bursts = account({{Meter::tokens, 60'000}});
  paced.pacing = 1s;
  bursts.burst = 1'000;
  EXPECT_EQ(held(paced, 10).by, Hold::slice);
  EXPECT_EQ(held(bursts, 800).by, Hold::burst);
  EXPECT_EQ(held(bursts, 800).needs, 800);
  EXPECT_EQ(held(account({{Meter::tokens, 1'000}}), 800).by, Hold::window);
  EXPECT_EQ(held(account({{Meter::tokens, 1'000}}), 800).needs, 800);
}

TEST(Prediction, OfACallDoesNotChangeWhenThoseBehindItLeave) {
  Desk desk(all_of({account({{Meter::in_flight, 1}})}));
  for (int i = 0; i <= 100; ++i) desk.submit(std::to_string(i), {});
  desk.pass();
  const auto position = [&] { return desk.scheduler.place_of(desk.tickets["50"], desk.now)->position; };
  EXPECT_EQ(position(), 50);
  for (int i = 51; i <= 100; ++i) desk.withdraw(std::to_string(i));
  EXPECT_EQ(position(), 50);
  for (int i = 1; i <= 10; ++i) desk.withdraw(std::to_string(i));
  EXPECT_EQ(position(), 40);
}

}  // namespace
}  // namespace weir::admission
