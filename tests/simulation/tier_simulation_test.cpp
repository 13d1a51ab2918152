// What the scheduler makes of one tier under enough demand: used to the brim, never refused, also by several instances
// and where seconds are limited too. The figures for full size are those of bench/shaping.
#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "simulation/agents.hpp"
#include "simulation/gateway.hpp"
#include "simulation/provider.hpp"
#include "simulation/scenario.hpp"

namespace weir::simulation {
namespace {

using namespace std::chrono_literals;
using admission::Meter;
using simulator::Charge;

constexpr Tokens tpm = 1'000'000;

struct Tier {
  Charge charge = Charge::input_then_output;
  Mix mix = agent_mix();
  Tokens input_max = 96'000;
  std::size_t instances = 1;
  Duration pacing{0};
  ProviderSettings provider;
};

// Instances of weir with their own callers and an equal part of the account.
class Instances {
 public:
  explicit Instances(const Tier& tier) : provider_(loop_, tier.provider, 1) {
    for (std::size_t i = 0; i < tier.instances; ++i) {
      gateways_.push_back(std::make_unique<Gateway>(loop_, provider_, settings(tier), 2 + i));
      callers_.push_back(std::make_unique<Agents>(loop_, *gateways_.back(), 100 + i));
      for (std::size_t agent = 0; agent < 400 / tier.instances; ++agent) callers_.back()->add(make_agent(tier));
    }
    provider_.measure_from(world_begins() + 2min);
    loop_.run_until(world_begins() + 7min);
  }

  double share() const { return provider_.share_used(loop_.now()); }
  const Provider::Books& books() const { return provider_.books(); }
  std::uint64_t failed() const {
    std::uint64_t failed = 0;
    for (const auto& callers : callers_) failed += callers->counts().failed;
    return failed;
  }

 private:
  static GatewaySettings settings(const Tier& tier) {
    GatewaySettings settings;
    admission::BudgetLimits account;
    account.scope = admission::Scope::account;
    account.name = account_budget;
    account.limits[static_cast<std::size_t>(Meter::tokens)] = tpm / static_cast<Tokens>(tier.instances);
    account.pacing = tier.pacing;
    settings.limits.budgets.push_back(account);
    settings.rule = tier.charge;
    return settings;
  }
  static Agent make_agent(const Tier& tier) {
    Agent agent;
    agent.make = [mix = tier.mix, most = tier.input_max](Rng& rng) {
      Call call = sample_call(mix, rng);
      call.input = call.estimate = std::min(call.input, most);
      return call;
    };
    agent.think = 1s;
    return agent;
  }

  EventLoop loop_{world_begins()};
  Provider provider_;
  std::vector<std::unique_ptr<Gateway>> gateways_;
  std::vector<std::unique_ptr<Agents>> callers_;
};

Tier tier(Charge charge, const Mix& mix) {
  Tier made;
  made.charge = charge;
  made.mix = mix;
  made.provider.options.limiter = simulator::Limiter::sliding;
  made.provider.options.charge = charge;
  made.provider.options.tpm = tpm;
  made.provider.way_varies = 40ms;
  made.provider.speed_varies = 0.3;
  return made;
}

TEST(Tier, IsUsedToTheBrimAndNotBeyondWhenLengthsAreUnknown) {
  const Instances one(tier(Charge::input_then_output, agent_mix()));
  EXPECT_EQ(one.books().refused, 0u);
  EXPECT_EQ(one.failed(), 0u);
  EXPECT_GE(one.share(), 0.97);
  EXPECT_LE(one.books().charged.largest(), tpm * 106 / 100);
}

TEST(Tier, IsUsedToTheBrimAndNeverBeyondWhenSizesAreKnown) {
  Tier known = tier(Charge::max_or_estimate, embedding_mix());
  known.input_max = 8'000;  // what waits for its turn takes room that nobody uses
  const Instances one(known);
  EXPECT_EQ(one.books().refused, 0u);
  EXPECT_GE(one.share(), 0.995);
  EXPECT_LE(one.books().charged.largest(), static_cast<std::uint64_t>(tpm));
}

TEST(Tier, FourInstancesWithAQuarterEachAreNeverRefused) {
  Tier shared = tier(Charge::max_or_estimate, embedding_mix());
  shared.input_max = 8'000;
  shared.instances = 4;
  const Instances four(shared);
  EXPECT_EQ(four.books().refused, 0u);
  EXPECT_LE(four.books().charged.largest(), static_cast<std::uint64_t>(tpm));
  EXPECT_GE(four.share(), 0.98);
}

TEST(Tier, KeepsTheSecondsOfAProviderThatLimitsThem) {
  Tier paced = tier(Charge::max_or_estimate, embedding_mix());
  paced.input_max = 2'000;
  paced.pacing = 1s;
  paced.provider.options.window = 1s;
  paced.provider.options.tpm = tpm / 60;
  const Instances one(paced);
  EXPECT_EQ(one.books().refused, 0u);
  EXPECT_LE(one.books().charged.largest(), static_cast<std::uint64_t>(tpm / 60));
  EXPECT_GE(one.share(), 0.85);
}

}  // namespace
}  // namespace weir::simulation
