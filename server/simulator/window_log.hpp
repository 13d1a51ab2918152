// What really arrived: the largest sum of amounts in any window of a length, measured by a log of its own, so that it
// can convict a limiter. A window is [t - length, t) up to one slot (a 60,000th of it): amounts of one slot are booked
// at its first instant, so the figure never exceeds what a window of the full length really held. Pure.
#pragma once

#include <cstdint>
#include <deque>

#include "simulator/meter.hpp"

namespace weir::simulator {

class WindowLog {
 public:
  explicit WindowLog(Duration window) : window_(window), slot_(window / 60'000) {}

  void add(std::uint64_t amount, Instant now);

  std::uint64_t largest() const { return largest_; }
  std::uint64_t total() const { return total_; }

 private:
  struct Entry {
    Instant at;
    std::uint64_t amount;
  };

  Duration window_;
  Duration slot_;
  Instant latest_{};
  std::deque<Entry> log_;
  std::uint64_t sum_ = 0;  // of the log
  std::uint64_t largest_ = 0;
  std::uint64_t total_ = 0;
};

}  // namespace weir::simulator
