// A limit of calls at once that nobody tells weir: found by ramping up, then followed. Prints the rows of the table in
// docs/reliability.md.
#include <gtest/gtest.h>

#include <iostream>

#include "simulation/hidden_limit.hpp"

namespace weir::simulation {
namespace {

using Moves = HiddenLimit::Moves;

Found run(std::uint64_t at_first, Moves moves) {
  HiddenLimit limit;
  limit.at_first = at_first;
  limit.moves = moves;
  const Found found = find_hidden_limit(limit);
  std::cout << in_words(limit, found) << std::endl;
  return found;
}

class HiddenConcurrency : public ::testing::TestWithParam<std::uint64_t> {};

TEST_P(HiddenConcurrency, ThatDriftsIsFoundWithFiveRefusalsAndFollowedWithOneIn1000Calls) {
  const Found found = run(GetParam(), Moves::drifts);
  EXPECT_LE(found.refusals_to_find, 5u);
  EXPECT_LE(found.refusals_per_1000(), 1.0);
  EXPECT_GE(found.used, 0.90);
  EXPECT_EQ(found.failed, 0u) << "no caller hears of it";
}
INSTANTIATE_TEST_SUITE_P(OfSize, HiddenConcurrency, ::testing::Values(50, 100, 500, 2500));

TEST(HiddenConcurrencyThatStays, IsUsedAndSeldomTouched) {
  for (const std::uint64_t size : {50, 500}) {
    const Found found = run(size, Moves::not_at_all);
    EXPECT_LE(found.refusals_to_find, 5u);
    EXPECT_LE(found.refusals_per_1000(), 1.0);
    EXPECT_GE(found.used, 0.92);
  }
}

// A slot is a large part of a small limit, and a jump refuses whatever is on its way: the figures are what they are.
TEST(HiddenConcurrencyThatIsSmallOrJumps, IsFollowedAtAPrice) {
  for (const std::uint64_t size : {2, 5, 10, 20}) EXPECT_GE(run(size, Moves::drifts).used, 0.5) << size;
  for (const std::uint64_t size : {50, 500}) EXPECT_GE(run(size, Moves::jumps).used, 0.5) << size;
}

}  // namespace
}  // namespace weir::simulation
