// One limit of a provider over one window, in the three ways providers enforce it. Pure: standard library only, `now`
// comes in, and a `now` earlier than one seen before counts as that one. An amount is requests or tokens.
// A meter never refuses by itself: ask fits(), then charge(); a charge beyond the limit is booked and delays the next.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>

#include "simulator/options.hpp"

namespace weir::simulator {

using Instant = std::chrono::steady_clock::time_point;

class Meter {
 public:
  virtual ~Meter() = default;

  virtual bool fits(std::uint64_t amount, Instant now) = 0;
  virtual void charge(std::uint64_t amount, Instant now) = 0;

  virtual std::uint64_t remaining(Instant now) = 0;  // 0 when in debt
  // Until nothing is charged any more: what providers call `reset` (providers.md §1.2).
  virtual Duration until_full(Instant now) = 0;
  // Until `amount` fits if nobody else comes; nullopt: it never does.
  virtual std::optional<Duration> until_fits(std::uint64_t amount, Instant now) = 0;
};

// Size limit × burst, full at first, refilled continuously at limit / window.
std::unique_ptr<Meter> make_bucket(std::uint64_t limit, Duration window, double burst);
// The whole limit anew at every multiple of the window on the clock.
std::unique_ptr<Meter> make_fixed_window(std::uint64_t limit, Duration window);
// What was charged in the last window, exactly: (now - window, now]. Charges closer together than a 60,000th of the
// window share one entry and leave together with the later one, which bounds the log.
std::unique_ptr<Meter> make_sliding_window(std::uint64_t limit, Duration window);

std::unique_ptr<Meter> make_meter(Limiter limiter, std::uint64_t limit, Duration window, double burst);

}  // namespace weir::simulator
