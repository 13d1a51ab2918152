// How long a stream was silent between two contents, counted into the buckets of the histogram of all streams: a stream
// of any length costs the same memory, and the shared histogram is touched once, at its end.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <vector>

namespace weir::observe {

struct ContentGaps {
  // Upper bounds in seconds. A model says 10 to 200 tokens a second; providers stay silent for minutes under load, and
  // the limit on silence is a setting.
  static constexpr std::array bounds{0.005, 0.01, 0.025, 0.05, 0.1,  0.25,  0.5,   1.0,
                                     2.5,   5.0,  10.0,  30.0, 60.0, 120.0, 600.0, 1800.0};

  std::vector<std::uint32_t> counts;  // one more than bounds; empty before the first gap, for which streams wait long
  double sum = 0;                     // seconds

  void note(std::chrono::nanoseconds gap) {
    if (counts.empty()) counts.resize(bounds.size() + 1);
    const double seconds = std::chrono::duration<double>(gap).count();
    std::size_t bucket = 0;
    while (bucket < bounds.size() && seconds > bounds[bucket]) ++bucket;
    ++counts[bucket];
    sum += seconds;
  }
};

}  // namespace weir::observe
