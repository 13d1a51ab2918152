#include "admission/learned_limits.hpp"

#include <algorithm>

namespace weir::admission {
namespace {

// Applying another limit costs work for every call that runs: figures that move this little are the same.
constexpr Tokens same_percent = 2;
// And one that grows is followed so often at the most.
constexpr std::chrono::seconds grows_every{1};

}  // namespace

bool LearnedLimits::note(Meter meter, Tokens limit, std::optional<Tokens> configured, Source source,
                         const LearnRules& rules, Instant now) {
  if (!rules.enabled || limit <= 0) return false;
  if (configured && limit >= *configured) return forget(meter);
  std::optional<LearnedLimit>& held = limits_[static_cast<std::size_t>(meter)];
  if (!held) {
    held = LearnedLimit{limit, source, now, now + rules.keep};
    return true;
  }
  const Tokens change = limit > held->limit ? limit - held->limit : held->limit - limit;
  const bool same = change * 100 <= held->limit * same_percent;
  if (limit > held->limit && !same && now < held->at + grows_every) return false;
  held->source = source;
  held->at = now;
  held->until = now + rules.keep;
  if (!same) held->limit = limit;
  return !same;
}

bool LearnedLimits::expire(Instant now) {
  bool any = false;
  for (std::optional<LearnedLimit>& each : limits_) {
    if (!each || each->until > now) continue;
    each.reset();
    any = true;
  }
  return any;
}

bool LearnedLimits::forget(Meter meter) {
  std::optional<LearnedLimit>& held = limits_[static_cast<std::size_t>(meter)];
  const bool any = held.has_value();
  held.reset();
  return any;
}

Instant LearnedLimits::next_expiry() const {
  Instant next = never;
  for (const std::optional<LearnedLimit>& each : limits_) {
    if (each) next = std::min(next, each->until);
  }
  return next;
}

std::optional<Tokens> LearnedLimits::tightened(Meter meter, std::optional<Tokens> configured) const {
  const std::optional<LearnedLimit>& held = of(meter);
  if (!held) return configured;
  return configured ? std::min(*configured, held->limit) : held->limit;
}

}  // namespace weir::admission
