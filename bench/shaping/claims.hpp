// The runs behind the tables of docs/shaping-figures.md.
#pragma once

#include <string>
#include <vector>

#include "shaping/tier_run.hpp"

namespace weir::bench {

// The same traffic on all three ways.
struct LoadRow {
  double load = 1;
  Figures figures[3];  // by Way
};
std::vector<LoadRow> loads(const simulation::Mix& mix, const std::vector<double>& offered);

// A fixed list of agent jobs on all three ways.
LoadRow jobs();

// Several seeds of one run through weir, the worst of each figure.
struct Worst {
  double share_least = 1, largest_window = 0, refused = 0;
};
Worst worst_of(const Run& run, std::uint64_t seeds);
Run enough_demand(simulator::Charge charge, const simulation::Mix& mix, double load);

// Keys that always have work, with requests and numbers of connections up to a hundred times as large: tokens by key.
std::vector<double> equal_keys();
// The same for some keys that want less than their part: what they got ÷ their max-min fair share.
std::vector<double> unequal_demands();
// Keys with weights from 1 to 5: the largest deviation from their parts.
double weights_deviation();

}  // namespace weir::bench
