#include "shaping/claims.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace weir::bench {
namespace {

using simulation::Mix;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr std::size_t keys = 20;
constexpr Way ways[] = {Way::straight, Way::refusing, Way::waiting};

// From 1 to 100 in even proportions.
double step(std::size_t i) {
  return std::pow(100, static_cast<double>(i) / (keys - 1));
}

}  // namespace

std::vector<LoadRow> loads(const Mix& mix, const std::vector<double>& offered) {
  std::vector<LoadRow> rows;
  for (const double load : offered) {
    LoadRow& row = rows.emplace_back();
    row.load = load;
    for (const Way way : ways) {
      Run run;
      run.way = way;
      run.mix = mix;
      run.groups = offer(load, run.tier, mix, keys);
      row.figures[static_cast<std::size_t>(way)] = measure(run);
    }
  }
  return rows;
}

LoadRow jobs() {
  LoadRow row;
  for (const Way way : ways) {
    Run run;
    run.way = way;
    run.mix = simulation::agent_mix();
    run.groups.resize(keys);
    for (Group& group : run.groups) {
      group.agents = 560;
      group.think = seconds(2);
    }
    run.calls_each = 10;
    run.cap = 4096;
    run.measured = std::chrono::hours(24);
    row.figures[static_cast<std::size_t>(way)] = measure(run);
  }
  return row;
}

Run enough_demand(simulator::Charge charge, const Mix& mix, double load) {
  Run run;
  run.charge = charge;
  run.mix = mix;
  run.groups = offer(load, run.tier, mix, keys);
  return run;
}

Worst worst_of(const Run& run, std::uint64_t seeds) {
  Worst worst;
  for (std::uint64_t seed = 1; seed <= seeds; ++seed) {
    Run one = run;
    one.seed = seed * 100;
    const Figures figures = measure(one);
    worst.share_least = std::min(worst.share_least, figures.share);
    worst.largest_window = std::max(worst.largest_window, figures.largest_window);
    worst.refused = std::max(worst.refused, figures.refused_by_provider);
  }
  return worst;
}

std::vector<double> equal_keys() {
  Run run;
  run.mix = simulation::agent_mix();
  run.groups.resize(keys);
  for (std::size_t i = 0; i < keys; ++i) {
    run.groups[i].size_factor = step(i) / 10;
    // With fewer connections for small requests a key would have nothing to do while those are answered.
    run.groups[i].agents = static_cast<std::size_t>(std::llround(60 * step(keys - 1 - i)));
    run.groups[i].think = Duration::zero();
  }
  run.measured = minutes(60);
  return measure(run).tokens_by_key;
}

std::vector<double> unequal_demands() {
  Run run;
  run.mix = simulation::agent_mix();
  run.groups.resize(keys);
  run.measured = minutes(60);
  const double tokens_in_all =
      static_cast<double>(run.tier.tpm) / 60 * std::chrono::duration<double>(run.warm_up + run.measured).count();
  for (std::size_t i = 0; i < keys; ++i) {
    Group& group = run.groups[i];
    group.think = Duration::zero();
    group.independent = i % 2 == 0;
    // Half of them want a tenth of an equal part up to nine tenths of it, the others all there is.
    const double wanted = tokens_in_all / keys * 0.1 * static_cast<double>(1 + i / 2 * 8 / 9);
    group.agents = group.independent ? static_cast<std::size_t>(std::llround(wanted / tokens_per_call(run.mix))) : 400;
  }
  const Figures figures = measure(run);
  std::vector<double> got = figures.tokens_by_key;
  const double all = std::accumulate(got.begin(), got.end(), 0.0);
  const std::vector<double> fair = max_min_shares(figures.wanted_by_key, all);
  for (std::size_t i = 0; i < keys; ++i) got[i] /= fair[i];
  return got;
}

double weights_deviation() {
  Run run;
  run.mix = simulation::agent_mix();
  run.groups.resize(keys);
  double weights = 0;
  for (std::size_t i = 0; i < keys; ++i) {
    run.groups[i].agents = 400;
    run.groups[i].think = Duration::zero();
    run.groups[i].weight = 1 + static_cast<std::int64_t>(i % 5);
    weights += static_cast<double>(run.groups[i].weight);
  }
  run.measured = minutes(60);
  const std::vector<double> got = measure(run).tokens_by_key;
  const double all = std::accumulate(got.begin(), got.end(), 0.0);
  double worst = 0;
  for (std::size_t i = 0; i < keys; ++i) {
    const double fair = all * static_cast<double>(run.groups[i].weight) / weights;
    worst = std::max(worst, std::abs(got[i] / fair - 1));
  }
  return worst;
}

}  // namespace weir::bench
