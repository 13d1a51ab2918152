// A world for one seed: a provider, limits, a thousand callers with heavy-tailed requests, and what goes wrong. The
// same seed makes the same world.
#pragma once

#include <memory>
#include <vector>

#include "simulation/agents.hpp"
#include "simulation/gateway.hpp"
#include "simulation/provider.hpp"

namespace weir::simulation {

struct Kind {
  simulator::Limiter limiter = simulator::Limiter::sliding;
  simulator::Charge charge = simulator::Charge::max_or_estimate;
};

struct Scenario {
  Kind kind;
  ProviderSettings provider;
  GatewaySettings gateway;
  std::vector<Agent> agents;
  struct Reload {
    Instant when{};
    admission::Limits limits;
  };
  std::vector<Reload> reloads;
  struct Restart {
    Instant when{};
    Gateway::Memory memory = Gateway::Memory::kept;
  };
  std::vector<Restart> restarts;
  // weir can compute every charge, and limits nothing that the provider does not: it must never be refused.
  bool exact = true;
};

Instant world_begins();
Scenario make_scenario(const Kind& kind, std::uint64_t seed);

}  // namespace weir::simulation
