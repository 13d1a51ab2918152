// Prints the claim: the same traffic straight to a provider, through a limiter that refuses, and through weir, in
// virtual time with the real scheduler.
//   shaping_figures [FOLDER]       the tables on stdout, and as FOLDER/shaping-figures.md and FOLDER/shaping.svg
//   shaping_figures scaled         what real_row.py should find
//   shaping_figures seeds [COUNT]  that many worlds of the simulation (10,000)
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <string>

#include "shaping/chart.hpp"
#include "shaping/claims.hpp"
#include "shaping/report.hpp"
#include "simulation/world_run.hpp"

namespace weir::bench {
namespace {

using simulator::Charge;
using simulator::Limiter;

constexpr std::uint64_t seeds_of_a_figure = 5;

std::string decimals(double value, const char* pattern) {
  char text[64];
  std::snprintf(text, sizeof text, pattern, value);
  return text;
}

std::string figures(std::string* chart) {
  const simulation::Mix mix = simulation::agent_mix();
  const std::vector<LoadRow> rows = loads(mix, {0.5, 1, 1.5, 2, 3, 5});
  const std::vector<LoadRow> huge_rows = loads(simulation::agent_mix_with_huge(Tier().tpm), {1, 2, 5});
  const LoadRow job_row = jobs();
  *chart = draw_chart(rows);

  Worst unknown;
  for (const double load : {1.5, 2.0, 5.0}) {
    const Worst worst = worst_of(enough_demand(Charge::input_then_output, mix, load), seeds_of_a_figure);
    unknown.share_least = std::min(unknown.share_least, worst.share_least);
    unknown.largest_window = std::max(unknown.largest_window, worst.largest_window);
    unknown.refused = std::max(unknown.refused, worst.refused);
  }
  const Worst known =
      worst_of(enough_demand(Charge::max_or_estimate, simulation::embedding_mix(), 1.5), seeds_of_a_figure);
  double refused = std::max(unknown.refused, known.refused);
  for (const auto* table : {&rows, &huge_rows}) {
    for (const LoadRow& row : *table) refused = std::max(refused, row.figures[2].refused_by_provider);
  }
  const double makespan = job_row.figures[2].makespan;
  const double jain = jain_index(equal_keys()), jain_of_unequal = jain_index(unequal_demands());
  const double deviation = weights_deviation();
  const std::vector<Target> targets = {
      {"calls refused by the provider, limits known", "0", "0", percent(refused, 3), refused == 0},
      {"share of the TPM used under enough demand, outputs unknown beforehand", "97 %", "99 %",
       percent(unknown.share_least, 2), unknown.share_least >= 0.97},
      {"the same, largest 60-second window over the limit", "106 %", "103 %", percent(unknown.largest_window, 2),
       unknown.largest_window <= 1.06},
      {"the same, sizes known (embeddings)", "99.5 %", "99.9 %", percent(known.share_least, 2),
       known.share_least >= 0.995},
      {"makespan of the job list ÷ (its tokens ÷ TPM)", "1.05", "1.02", decimals(makespan, "%.3f"), makespan <= 1.05},
      {"Jain index of equal keys that always have work", "0.98", "0.995", decimals(jain, "%.4f"), jain >= 0.98},
      {"Jain index against the max-min fair share, others", "0.98", "0.995", decimals(jain_of_unequal, "%.4f"),
       jain_of_unequal >= 0.98},
      {"shares by weight, largest deviation", "3 %", "1 %", percent(deviation, 2), deviation <= 0.03}};

  std::string text = "# Shaping: measured figures\n\n";
  text += "Written by `./dev bench shaping`; [shaping.md](shaping.md) says what was measured and why it is so.\n\n";
  text += "![The claim](shaping.svg)\n\n## What has to hold\n\n" + target_table(targets);
  text +=
      "\n## Offered load\n\nInput with a median of 800 and a 99th percentile of 20,000 tokens, output of 300 and "
      "4,000.\n\n" +
      load_table(rows);
  text += "\n## The same, and every hundredth call with an input of 2 % of the limit\n\n" + load_table(huge_rows);
  text += "\n## A list of 11,200 agent jobs of ten calls each\n\n" + job_table(job_row);
  return text;
}

// The row that real_row.py repeats for real: a fiftieth of the tier, 28 callers with openai-python, in twenty runs.
int scaled() {
  for (const Way way : {Way::straight, Way::waiting}) {
    double share_least = 1, share_most = 0, refused_least = 1, refused_most = 0, failed_least = 1, failed_most = 0;
    double largest_window = 0;
    for (std::uint64_t seed = 1; seed <= 20; ++seed) {
      Run run;
      run.way = way;
      run.tier = {100'000, 600};
      run.mix = simulation::agent_mix();
      run.mix.input.cap = 20'000;
      run.groups.resize(1);
      run.groups.front().agents = 28;
      run.sdk = simulation::Sdk::python;
      run.estimate_factor = 1.12;  // the margin over its estimate that the real one keeps for such prompts
      run.running_usage = true;    // as Ark's
      run.seed = seed * 100;
      const Figures figures = measure(run);
      share_least = std::min(share_least, figures.share);
      share_most = std::max(share_most, figures.share);
      refused_least = std::min(refused_least, figures.refused_by_provider);
      refused_most = std::max(refused_most, figures.refused_by_provider);
      failed_least = std::min(failed_least, figures.failed);
      failed_most = std::max(failed_most, figures.failed);
      largest_window = std::max(largest_window, figures.largest_window);
    }
    std::cout << (way == Way::straight ? "straight: " : "weir: ") << "tokens used " << percent(share_least) << " to "
              << percent(share_most) << ", largest window " << percent(largest_window) << ", refused by the provider "
              << percent(refused_least) << " to " << percent(refused_most) << ", failed " << percent(failed_least)
              << " to " << percent(failed_most) << "\n";
  }
  return 0;
}

int run_seeds(std::uint64_t count) {
  constexpr Limiter limiters[] = {Limiter::bucket, Limiter::fixed, Limiter::sliding};
  constexpr Charge charges[] = {Charge::max_or_estimate, Charge::estimate_plus_max, Charge::input_then_output,
                                Charge::actual, Charge::none};
  std::uint64_t failed = 0, answered = 0, checks = 0;
  for (std::uint64_t i = 0; i < count; ++i) {
    const simulation::Kind kind{limiters[i % 3], charges[i / 3 % 5]};
    const std::uint64_t seed = 1 + i / 15;
    const simulation::Result result = simulation::run(simulation::make_scenario(kind, seed), seed);
    answered += result.callers.answered;
    checks += result.checks;
    if (result.wrong.empty()) continue;
    ++failed;
    std::cout << "limiter " << i % 3 << ", charge " << i / 3 % 5 << ", seed " << seed << ": " << result.wrong
              << "\n  repeat with WEIR_SIM_FIRST=" << seed << " WEIR_SIM_SEEDS=1 simulation_test\n";
  }
  std::cout << count << " worlds, " << answered << " calls answered, " << checks << " checks, " << failed
            << " failed\n";
  return failed == 0 ? 0 : 1;
}

}  // namespace
}  // namespace weir::bench

int main(int argc, char** argv) {
  if (argc > 1 && std::string(argv[1]) == "seeds")
    return weir::bench::run_seeds(argc > 2 ? std::strtoull(argv[2], nullptr, 10) : 10'000);
  if (argc > 1 && std::string(argv[1]) == "scaled") return weir::bench::scaled();
  std::string chart;
  const std::string text = weir::bench::figures(&chart);
  std::cout << text;
  if (argc > 1) {
    const std::string folder = argv[1];
    std::ofstream(folder + "/shaping-figures.md") << text;
    std::ofstream(folder + "/shaping.svg") << chart;
  }
}
