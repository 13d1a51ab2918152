// The real scheduler in worlds made from seeds: a thousand callers, every kind of provider, and what goes wrong there.
// WEIR_SIM_SEEDS=10000 runs more of them (300 by default, over all kinds), WEIR_SIM_FIRST=17 begins at another one.
#include <gtest/gtest.h>

#include <cstdlib>
#include <iostream>
#include <string>

#include "simulation/world_run.hpp"

namespace weir::simulation {
namespace {

using simulator::Charge;
using simulator::Limiter;

constexpr std::uint64_t kinds = 15;

std::uint64_t from_environment(const char* name, std::uint64_t otherwise) {
  const char* given = std::getenv(name);
  return given ? std::strtoull(given, nullptr, 10) : otherwise;
}

constexpr const char* limiter_words[] = {"Bucket", "Fixed", "Sliding"};
constexpr const char* charge_words[] = {"MaxOrEstimate", "EstimatePlusMax", "InputThenOutput", "Actual", "None"};

class World : public testing::TestWithParam<std::tuple<Limiter, Charge>> {};

TEST_P(World, HoldsItsLimitsServesEverybodyAndBalancesItsBooks) {
  const Kind kind{std::get<0>(GetParam()), std::get<1>(GetParam())};
  const std::uint64_t first = from_environment("WEIR_SIM_FIRST", 1);
  const std::uint64_t seeds = (from_environment("WEIR_SIM_SEEDS", 300) + kinds - 1) / kinds;
  std::uint64_t answered = 0, checks = 0, oversize = 0, in_vain = 0;
  for (std::uint64_t seed = first; seed < first + seeds; ++seed) {
    const Result result = run(make_scenario(kind, seed), seed);
    ASSERT_EQ(result.wrong, "") << "repeat with WEIR_SIM_FIRST=" << seed << " WEIR_SIM_SEEDS=1";
    answered += result.callers.answered;
    checks += result.checks;
    oversize += result.oversize;
    in_vain += result.calls.in_vain;
  }
  // A world in which nothing happens proves nothing.
  EXPECT_GT(answered, seeds * 100);
  EXPECT_GT(checks, seeds * 10);
  if (seeds < 20) return;
  EXPECT_GT(oversize, 0u);
  EXPECT_GT(in_vain, 0u);
}

INSTANTIATE_TEST_SUITE_P(Of, World,
                         testing::Combine(testing::Values(Limiter::bucket, Limiter::fixed, Limiter::sliding),
                                          testing::Values(Charge::max_or_estimate, Charge::estimate_plus_max,
                                                          Charge::input_then_output, Charge::actual, Charge::none)),
                         [](const auto& kind) {
                           return std::string(limiter_words[static_cast<std::size_t>(std::get<0>(kind.param))]) +
                                  charge_words[static_cast<std::size_t>(std::get<1>(kind.param))];
                         });

}  // namespace
}  // namespace weir::simulation
