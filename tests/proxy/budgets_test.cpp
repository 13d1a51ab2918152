// The limits of the settings as budgets of the admission core.
#include "proxy/budgets.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace weir::proxy {
namespace {

using admission::BudgetLimits;
using admission::Scope;

BudgetLimits budget_of(const Settings& settings, Scope scope, const std::string& name) {
  const auto limits = admission_limits(settings, admission::Instant(std::chrono::hours(640)), {});
  const auto found = std::find_if(limits.budgets.begin(), limits.budgets.end(),
                                  [&](const BudgetLimits& each) { return each.scope == scope && each.name == name; });
  EXPECT_NE(found, limits.budgets.end());
  return found == limits.budgets.end() ? BudgetLimits() : *found;
}

TEST(Budgets, WeightsOfKeysAndTeamsAreTheirs) {
  Settings settings;
  settings.clients.keys.resize(1);
  settings.clients.keys[0].name = "k";
  settings.clients.keys[0].weight = 3;
  settings.clients.teams = {{"with", {}, 4}, {"without", {}, 0}};
  EXPECT_EQ(budget_of(settings, Scope::key, "k").weight, 3);
  EXPECT_EQ(budget_of(settings, Scope::team, "with").weight, 4);
  EXPECT_EQ(budget_of(settings, Scope::team, "without").weight, 0);
}

TEST(Budgets, AnInstanceHasItsPartOfALimitAndAtLeastOne) {
  EXPECT_EQ(shared_part(10, 0.1), 1u);
  EXPECT_EQ(shared_part(10, 0.25), 2u);
  EXPECT_EQ(shared_part(3, 0.1), 1u);
  EXPECT_EQ(shared_part(5'000'000, 1.0), 5'000'000u);
}

}  // namespace
}  // namespace weir::proxy
