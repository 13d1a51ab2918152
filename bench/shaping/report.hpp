// The tables of docs/shaping-figures.md, as Markdown.
#pragma once

#include <string>
#include <vector>

#include "shaping/claims.hpp"

namespace weir::bench {

std::string load_table(const std::vector<LoadRow>& rows);
std::string job_table(const LoadRow& row);

// A figure beside what it has to be.
struct Target {
  std::string what;
  std::string least, aim;
  std::string measured;
  bool met = false;
};
std::string target_table(const std::vector<Target>& targets);

std::string percent(double part, int decimals = 1);

}  // namespace weir::bench
