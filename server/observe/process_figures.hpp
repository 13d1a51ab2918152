// The process's own figures, by the names that every Prometheus client library uses. Source: /proc/self.
#pragma once

#include <string>
#include <vector>

namespace weir::observe {

struct ProcessFigure {
  std::string name, help;
  double value = 0;
  bool counter = false;
};

// The first call opens what all of them read. Thread-safe.
std::vector<ProcessFigure> process_figures();

}  // namespace weir::observe
