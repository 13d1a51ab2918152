// Budgets of models that only calls name: so many at a time, and the one that was asked for longest ago makes room.
#include <gtest/gtest.h>

#include "admission/admission_support.hpp"

namespace weir::admission {
namespace {

using namespace test;

std::string name(std::size_t i) {
  return "up/" + std::to_string(i);
}

// All places are taken; the first was asked for longest ago.
class InventedModels : public testing::Test {
 protected:
  InventedModels() {
    for (std::size_t i = 0; i < Scheduler::models_max; ++i) ids.push_back(ask(name(i)));
  }
  BudgetId ask(const std::string& model) { return desk.scheduler.budget_of_model(model); }
  const std::string& name_of(BudgetId id) { return desk.scheduler.limits_of(id).name; }
  // Sent now, and over.
  void pass(const std::string& model) {
    EXPECT_EQ(desk.submit("call", {.model = model}), "");
    EXPECT_EQ(desk.pass(), "call");
    desk.settle("call", used(10, 0));
  }

  Desk desk{all_of({account({}), limited(Scope::model, "configured", {{Meter::requests, 1}})})};
  std::vector<BudgetId> ids;
};

TEST_F(InventedModels, TheOneThatWasAskedForLongestAgoMakesRoom) {
  EXPECT_EQ(ask(name(0)), ids[0]);
  EXPECT_EQ(ask("up/new"), ids[1]);
  EXPECT_EQ(name_of(ids[1]), "up/new");
  EXPECT_EQ(ask("up/new"), ids[1]);
  EXPECT_EQ(ask(name(1)), ids[2]);
  EXPECT_EQ(ask(name(0)), ids[0]);
  EXPECT_EQ(desk.scheduler.budget_count(), ids.size() + 2 /* the account and the configured one */);
}

TEST_F(InventedModels, WhoseWindowsAreNotEmptyStay) {
  for (std::size_t i = 0; i < ids.size(); ++i) {
    pass(name(i));
    desk.now += 100ms;
  }
  EXPECT_EQ(ask("up/new"), no_budget);
  desk.now = start + 61s;  // a coarse slot, a window and a guard
  desk.pass();
  EXPECT_EQ(ask("up/new"), ids[0]);
}

TEST_F(InventedModels, WhereSomebodyWaitsOrRunsStay) {
  desk.submit("runs", {.model = name(0)});
  EXPECT_EQ(desk.pass(), "runs");
  desk.now += 61s;
  Limits none = all_of({account({{Meter::in_flight, 0}})});
  desk.reconfigure(none);
  desk.submit("waits", {.model = name(1)});
  desk.submit("timed", {.model = name(2), .not_before = desk.now + 1h});
  EXPECT_EQ(desk.pass(), "");
  EXPECT_EQ(ask("up/new"), ids[3]);
  desk.withdraw("waits");
  EXPECT_EQ(ask("up/newer"), ids[1]);
  desk.settle("runs", used(10, 0));
  desk.withdraw("timed");
  EXPECT_EQ(ask("up/newest"), ids[0]);
}

TEST_F(InventedModels, WhatIsPausedStays) {
  Rng rng(1);
  UpstreamReport report;
  report.budget = ids[0];
  report.pause_until = start + 1h;
  desk.scheduler.observe(report, desk.now, rng);
  report.budget = ids[1];
  report.afterwards = UpstreamReport::Afterwards::one_first;
  desk.scheduler.observe(report, desk.now, rng);
  EXPECT_EQ(ask("up/new"), ids[2]);
}

TEST_F(InventedModels, TheOtherModelBeginsAnew) {
  desk.submit("a", {.model = name(0)});
  EXPECT_EQ(desk.pass(), "a");
  desk.scheduler.hear(desk.tickets.at("a"), Scope::model, {Meter::requests, Source::header, 1, std::nullopt}, desk.now);
  desk.submit("b", {.key = "other", .model = name(0)});
  EXPECT_EQ(desk.pass(), "") << "that was learned";
  desk.withdraw("b");
  desk.settle("a", used(10, 0));
  desk.now += 61s;
  desk.pass();
  ASSERT_EQ(ask("up/new"), ids[0]);
  EXPECT_FALSE(desk.view(Scope::model, "up/new", Meter::requests).limit);
  desk.submit("c", {.model = "up/new"});
  desk.submit("d", {.model = "up/new"});
  EXPECT_EQ(desk.pass(), "c d");
}

TEST_F(InventedModels, WhatIsConfiguredStaysAndTakesNoPlace) {
  desk.reconfigure(all_of({account({}), limited(Scope::model, name(0), {{Meter::requests, 1}})}));
  const BudgetId made = ask("up/new");
  EXPECT_EQ(made, static_cast<BudgetId>(desk.scheduler.budget_count() - 1));
  EXPECT_EQ(ask("up/newer"), ids[1]);
  EXPECT_EQ(ask(name(0)), ids[0]);
}

TEST(InventedModel, HasTheWindowGuardAndPacingOfItsAccount) {
  const auto shaped = [](Duration window) {
    BudgetLimits made = account({});
    made.window = window;
    made.guard = 10ms;
    made.pacing = 1s;
    return made;
  };
  Desk desk(all_of({shaped(10s)}));
  const BudgetId whole = desk.scheduler.budget(Scope::account, "up");
  const BudgetId model = desk.scheduler.budget_of_model("up/m", whole);
  const BudgetLimits& held = desk.scheduler.limits_of(model);
  EXPECT_EQ(held.window, 10s);
  EXPECT_EQ(held.guard, 10ms);
  EXPECT_EQ(held.pacing, 1s);
  EXPECT_EQ(held.scope, Scope::model);
  EXPECT_EQ(held.name, "up/m");
  desk.reconfigure(all_of({shaped(20s)}));
  EXPECT_EQ(desk.scheduler.limits_of(model).window, 20s);
}

TEST_F(InventedModels, AreInventedAfterARestartToo) {
  for (std::size_t i = 0; i < 3; ++i) pass(name(i));
  Desk after(all_of({account({})}), desk.now);
  after.scheduler.restore(desk.scheduler.snapshot(desk.now), 0s, after.now);
  after.now += 61s;
  after.pass();
  const std::size_t before = after.scheduler.budget_count();
  for (std::size_t i = 0; i < Scheduler::models_max; ++i)
    EXPECT_NE(after.scheduler.budget_of_model("up/new" + std::to_string(i)), no_budget);
  EXPECT_EQ(after.scheduler.budget_count(), before + Scheduler::models_max - 3);
}

}  // namespace
}  // namespace weir::admission
