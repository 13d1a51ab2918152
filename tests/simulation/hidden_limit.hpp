// weir in front of a provider that takes so many calls at once and does not say how many: how many refusals it takes to
// find out, how many it costs to keep up, and how much of the limit is used meanwhile.
#pragma once

#include <cstdint>
#include <string>

#include "simulation/event_loop.hpp"

namespace weir::simulation {

struct HiddenLimit {
  enum class Moves : std::uint8_t {
    not_at_all,
    drifts,  // by half of it up and down within 30 minutes
    jumps,   // to the half and back every five minutes
  };
  std::uint64_t at_first = 50;
  Moves moves = Moves::drifts;
  Duration call_takes = std::chrono::seconds(5);
  Duration way = std::chrono::milliseconds(10);  // to the provider, and up to 40 ms more
  std::uint64_t seed = 1;

  std::uint64_t at(Duration since_start) const;
};

struct Found {
  std::uint64_t refusals_to_find = 0;  // until the cap had come down for the first time
  Duration found_after{0};
  // Of the 30 minutes after that.
  std::uint64_t calls = 0, refusals = 0;
  double used = 0;           // of the true limit, on average
  std::uint64_t failed = 0;  // of the callers' calls, ever
  double refusals_per_1000() const { return 1000.0 * double(refusals) / double(calls); }
};

// Callers always want more than the limit.
Found find_hidden_limit(const HiddenLimit& limit);

std::string in_words(const HiddenLimit& limit, const Found& found);

}  // namespace weir::simulation
