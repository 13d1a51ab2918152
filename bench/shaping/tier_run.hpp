// One run of the benchmark: callers who ask for so many times a tier, on their way straight to the provider, through a
// limiter that refuses, or through weir; and what the provider and the callers noticed.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "simulation/agents.hpp"
#include "simulation/gateway.hpp"

namespace weir::bench {

using admission::Duration;
using admission::Tokens;

enum class Way : std::uint8_t { straight, refusing, waiting };

struct Tier {
  Tokens tpm = 5'000'000;
  Tokens rpm = 30'000;
};

// Callers of one key.
struct Group {
  std::size_t agents = 0;
  double size_factor = 1;  // their requests are so many times as large
  std::int64_t weight = 1;
  Duration think = std::chrono::seconds(10);  // mean
  bool independent = false;  // every caller makes one call, some time during the run, whatever became of the others
};

struct Run {
  Way way = Way::waiting;
  Tier tier;
  simulator::Limiter limiter = simulator::Limiter::sliding;
  simulator::Charge charge = simulator::Charge::input_then_output;
  simulation::Mix mix;
  std::vector<Group> groups;
  bool reserves_cap = false;
  bool running_usage = false;          // the provider tells the usage so far with each word
  double estimate_factor = 1;          // what weir takes the input for ÷ what it is
  std::optional<simulation::Sdk> sdk;  // of all callers; nullopt: a mixture
  Tokens cap = 0;                      // of the output, sent with every call; 0: none
  std::int64_t calls_each = -1;        // a list of jobs: each caller makes so many calls, whatever it takes; -1: no end
  Duration warm_up = std::chrono::seconds(120);
  Duration measured = std::chrono::minutes(10);  // after the warm-up; of a list of jobs: at most
  std::uint64_t seed = 1;
};

struct Figures {
  double share = 0;           // charged by the provider ÷ what its limit allows
  double largest_window = 0;  // ÷ limit
  simulation::Agents::Counts callers;
  double refused_by_provider = 0, failed = 0;  // ÷ calls to the provider, ÷ calls of the callers
  Duration wait_p50{0}, wait_p99{0};
  std::vector<double> tokens_by_key;  // answered
  std::vector<double> wanted_by_key;  // asked for
  double makespan = 0;                // of a list of jobs: time ÷ (its tokens ÷ TPM)
};

Figures measure(const Run& run);

double tokens_per_call(const simulation::Mix& mix);  // the mean
// Callers of equal keys that would use `load` times the tier if nothing held them up.
std::vector<Group> offer(double load, const Tier& tier, const simulation::Mix& mix, std::size_t keys = 20);

// 1: all alike.
double jain_index(const std::vector<double>& amounts);
// What each gets when as much as possible is given to whoever has least, and nobody more than they ask for.
std::vector<double> max_min_shares(const std::vector<double>& demands, double capacity);

}  // namespace weir::bench
