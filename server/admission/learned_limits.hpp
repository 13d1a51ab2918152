// What an upstream says of its limits per window, meter by meter: it tightens what is configured and expires unless it
// is said again. Values only; the budget applies them. Pure.
#pragma once

#include <array>
#include <optional>

#include "admission/concurrency_cap.hpp"

namespace weir::admission {

// What an upstream said of a meter with a window: one of requests, tokens, input, output.
struct SaidOfMeter {
  Meter meter = Meter::requests;
  Source source = Source::header;
  std::optional<Tokens> limit;  // tightens ours
  std::optional<Tokens> used;   // its own count; what it has seen beyond ours is charged here too
};

struct LearnedLimit {
  Tokens limit = 0;
  Source source = Source::header;
  Instant at{}, until{};  // when it was said last, and how long it holds
};

class LearnedLimits {
 public:
  // True: another value holds for this meter now. `configured`: what is not smaller than it is nothing new.
  bool note(Meter meter, Tokens limit, std::optional<Tokens> configured, Source source, const LearnRules& rules,
            Instant now);
  // True: one of them holds no longer.
  bool expire(Instant now);
  bool forget(Meter meter);

  const std::optional<LearnedLimit>& of(Meter meter) const { return limits_[static_cast<std::size_t>(meter)]; }
  Instant next_expiry() const;
  std::optional<Tokens> tightened(Meter meter, std::optional<Tokens> configured) const;

 private:
  std::array<std::optional<LearnedLimit>, meter_count> limits_;
};

}  // namespace weir::admission
