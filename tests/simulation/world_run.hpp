// Runs a scenario to its end and says what came of it.
#pragma once

#include <string>

#include "simulation/scenario.hpp"

namespace weir::simulation {

struct Result {
  std::string wrong;  // "": everything held
  Agents::Counts callers;
  Gateway::Counts calls;
  std::uint64_t refused_by_provider = 0;
  std::uint64_t checks = 0;
  std::uint64_t oversize = 0;  // calls that were larger than a limit of their key, team or model
  Duration took{0};            // in the world
};

Result run(const Scenario& scenario, std::uint64_t seed);

}  // namespace weir::simulation
