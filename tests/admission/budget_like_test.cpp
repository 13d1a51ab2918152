// Budgets that are made like another one, as many as there are callers who bring an account.
#include <gtest/gtest.h>

#include "admission/admission_support.hpp"
#include "admission/scheduler.hpp"

namespace weir::admission {
namespace {

using namespace test;

// An account of a caller's, made like "up".
BudgetId like_up(Scheduler& scheduler, const std::string& name) {
  return scheduler.budget_like(name, scheduler.budget(Scope::account, "up"));
}

// Whether one more request of one token can go now.
bool has_room(Desk& desk, BudgetId account) {
  Submission s;
  s.key = desk.scheduler.budget(Scope::key, "k");
  s.account = account;
  s.own.tokens = s.upstream.tokens = 1;
  s.deadline = desk.now + 1ms;
  const auto answer = desk.scheduler.submit(s, desk.now);
  if (std::holds_alternative<Rejection>(answer)) return false;
  const auto decisions = dispatch_all(desk.scheduler, desk.now);
  const bool admitted = decisions.size() == 1 && !decisions[0].rejection;
  if (admitted)
    desk.scheduler.sent(std::get<Ticket>(answer), desk.now);
  else
    desk.scheduler.withdraw(std::get<Ticket>(answer), desk.now);
  if (admitted) desk.scheduler.settle(std::get<Ticket>(answer), {}, Ending::complete, desk.now);
  return admitted;
}

TEST(BudgetLike, HasTheSameLimitsAndItsOwnBooks) {
  Desk desk(all_of({account({{Meter::requests, 1}})}));
  const BudgetId a = like_up(desk.scheduler, "up@a"), b = like_up(desk.scheduler, "up@b");
  EXPECT_NE(a, b);
  EXPECT_EQ(like_up(desk.scheduler, "up@a"), a);
  EXPECT_EQ(desk.scheduler.limits_of(a).name, "up@a");
  EXPECT_EQ(desk.scheduler.limits_of(a).limit(Meter::requests), 1);
  EXPECT_TRUE(has_room(desk, a));
  EXPECT_FALSE(has_room(desk, a));
  EXPECT_TRUE(has_room(desk, b));
  EXPECT_EQ(desk.used(Meter::requests), 0);
}

TEST(BudgetLike, FollowsTheLimitsOfWhatItIsLike) {
  Desk desk(all_of({account({{Meter::requests, 1}})}));
  const BudgetId a = like_up(desk.scheduler, "up@a");
  EXPECT_TRUE(has_room(desk, a));
  desk.reconfigure(all_of({account({{Meter::requests, 2}})}));
  EXPECT_EQ(desk.scheduler.limits_of(a).name, "up@a");
  EXPECT_TRUE(has_room(desk, a));
  EXPECT_FALSE(has_room(desk, a));  // what is spent stays spent
  desk.reconfigure(all_of({}));
  EXPECT_TRUE(has_room(desk, a));
}

TEST(BudgetLike, BeginsAsSpentWhileNothingIsKnownOfTheTimeBefore) {
  Desk desk(all_of({account({{Meter::requests, 1}})}));
  desk.scheduler.assume_spent(desk.now + 10s, desk.now);
  desk.now += 1s;
  EXPECT_FALSE(has_room(desk, like_up(desk.scheduler, "up@a")));
  desk.now += 10s;
  EXPECT_TRUE(has_room(desk, like_up(desk.scheduler, "up@b")));
}

TEST(BudgetLike, OutlivesTheProcess) {
  BudgetLimits hourly = account({{Meter::requests, 1}});
  hourly.window = 1h;
  Desk before(all_of({hourly}));
  EXPECT_TRUE(has_room(before, like_up(before.scheduler, "up@a")));
  Desk after(all_of({hourly}));
  after.scheduler.restore(before.scheduler.snapshot(before.now), 0s, after.now);
  const BudgetId restored = after.scheduler.budget(Scope::account, "up@a");
  EXPECT_EQ(after.scheduler.limits_of(restored).limit(Meter::requests), 1);
  after.now += 30min;
  EXPECT_FALSE(has_room(after, like_up(after.scheduler, "up@a")));
  EXPECT_TRUE(has_room(after, like_up(after.scheduler, "up@b")));
}

TEST(BudgetLike, AskedForAgainIsTheSame) {
  Desk desk(all_of({account({{Meter::requests, 1}})}));
  for (std::size_t i = 0; i < Scheduler::likes_max; ++i) like_up(desk.scheduler, "up@a");
  EXPECT_NE(like_up(desk.scheduler, "up@b"), desk.scheduler.budget(Scope::account, "up"));
  EXPECT_TRUE(has_room(desk, like_up(desk.scheduler, "up@a")));
  EXPECT_FALSE(has_room(desk, like_up(desk.scheduler, "up@a")));
}

TEST(BudgetLike, TakesWhatIsConfiguredAndNotWhatWasLearnedOfTheOther) {
  Desk desk(all_of({account({{Meter::requests, 3}})}));
  Submission s;
  s.key = desk.scheduler.budget(Scope::key, "k");
  s.account = desk.scheduler.budget(Scope::account, "up");
  const Ticket call = std::get<Ticket>(desk.scheduler.submit(s, desk.now));
  dispatch_all(desk.scheduler, desk.now);
  desk.scheduler.sent(call, desk.now);
  desk.scheduler.hear(call, Scope::account, {Meter::requests, Source::header, 2, std::nullopt}, desk.now);
  ASSERT_EQ(desk.scheduler.limits_of(s.account).limit(Meter::requests), 2);
  EXPECT_EQ(desk.scheduler.limits_of(like_up(desk.scheduler, "up@a")).limit(Meter::requests), 3);
}

TEST(BudgetLike, BeyondSoManyAllOthersShareTheOneTheyAreLike) {
  Desk desk(all_of({account({{Meter::requests, 1}})}));
  for (std::size_t i = 0; i < Scheduler::likes_max; ++i) like_up(desk.scheduler, "up@" + std::to_string(i));
  const BudgetId up = desk.scheduler.budget(Scope::account, "up");
  EXPECT_EQ(like_up(desk.scheduler, "up@late"), up);
  EXPECT_NE(like_up(desk.scheduler, "up@0"), up);
}

}  // namespace
}  // namespace weir::admission
