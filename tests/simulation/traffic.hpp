// Requests as callers make them: heavy-tailed sizes, and the two mixes that the figures in docs/shaping.md were
// measured with. Values and arithmetic only. Samples are computed here instead of with the distributions of the
// standard library, whose results are not the same everywhere.
#pragma once

#include <cstdint>

#include "simulation/event_loop.hpp"

namespace weir::simulation {

// A number in [0, 1).
double uniform(Rng& rng);
bool chance(double probability, Rng& rng);
double normal(Rng& rng);  // of mean 0 and variance 1
Duration seconds(double count);
Duration between(Duration least, Duration most, Rng& rng);
Duration exponential(Duration mean, Rng& rng);

// Log-normal, given by its median and its 99th percentile; at least 1, at most `cap`.
struct Sizes {
  double median = 1;
  double p99 = 1;
  Tokens cap = 1'000'000;
  Tokens sample(Rng& rng) const;
};

struct Mix {
  Sizes input, output;
  double huge_share = 0;  // of requests: these have an input of `huge_input`
  Tokens huge_input = 0;
};

// The mix of the claim, and the same with 1 % of requests at 2 % of a limit of tokens.
Mix agent_mix();
Mix agent_mix_with_huge(Tokens limit);
// Requests whose whole charge is known when they are sent.
Mix embedding_mix();

// One request. Who sends it stands with the caller.
struct Call {
  std::uint32_t key = 0, team = 0, model = 0, lane = 0;
  std::uint8_t priority = 0;
  Tokens input = 1;
  Tokens estimate = 1;  // of the input: what weir takes it for before it is sent
  Tokens output = 0;    // what the model is going to say
  Tokens cap = 0;       // of the output, as sent; 0: none
  Tokens choices = 1;   // n
  bool replies = true;  // false: an embedding
  std::size_t bytes = 0;
};

Call sample_call(const Mix& mix, Rng& rng);

}  // namespace weir::simulation
