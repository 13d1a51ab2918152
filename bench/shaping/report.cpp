#include "shaping/report.hpp"

#include <cstdio>

namespace weir::bench {
namespace {

constexpr const char* way_words[] = {"straight", "429", "weir"};

std::string number(double value, int decimals) {
  char text[64];
  std::snprintf(text, sizeof text, "%.*f", decimals, value);
  return text;
}

std::string wait_of(Duration wait) {
  const double seconds = std::chrono::duration<double>(wait).count();
  return number(seconds, seconds < 10 ? 1 : 0) + " s";
}

}  // namespace

std::string percent(double part, int decimals) {
  return number(part * 100, decimals) + " %";
}

std::string load_table(const std::vector<LoadRow>& rows) {
  std::string text =
      "| load | way | tokens used | calls the provider refused | calls that failed | wait p50 | wait p99 | Jain | "
      "largest window |\n|---|---|---|---|---|---|---|---|---|\n";
  for (const LoadRow& row : rows) {
    for (std::size_t way = 0; way < 3; ++way) {
      const Figures& figures = row.figures[way];
      text += "| " + number(row.load, 1) + "× | " + way_words[way] + " | " + percent(figures.share) + " | " +
              percent(figures.refused_by_provider) + " | " + percent(figures.failed) + " | " +
              wait_of(figures.wait_p50) + " | " + wait_of(figures.wait_p99) + " | " +
              number(jain_index(figures.tokens_by_key), 3) + " | " + percent(figures.largest_window) + " |\n";
    }
  }
  return text;
}

std::string job_table(const LoadRow& row) {
  std::string text = "| way | makespan ÷ (tokens ÷ TPM) | tokens used | failures per call |\n|---|---|---|---|\n";
  for (std::size_t way = 0; way < 3; ++way) {
    const Figures& figures = row.figures[way];
    text += std::string("| ") + way_words[way] + " | " + number(figures.makespan, 3) + " | " + percent(figures.share) +
            " | " + number(figures.failed, 2) + " |\n";
  }
  return text;
}

std::string target_table(const std::vector<Target>& targets) {
  std::string text = "| through weir | at least | aim | measured | |\n|---|---|---|---|---|\n";
  for (const Target& target : targets) {
    text += "| " + target.what + " | " + target.least + " | " + target.aim + " | " + target.measured + " | " +
            (target.met ? "met" : "**short**") + " |\n";
  }
  return text;
}

}  // namespace weir::bench
