#include "admission/concurrency_cap.hpp"

#include <algorithm>

namespace weir::admission {
namespace {

// Found by simulation (docs/reliability.md): a limit of 50 that swings by half within 30 minutes has to be used to 90 %
// at one refusal per 1,000 calls. A limit that falls is followed in larger steps, one that rises is let go less far.
constexpr Tokens percent_steady = 92, percent_falling = 86, percent_rising = 98;
// Within so many percent of the last refusal the limit has not moved.
constexpr Tokens moved_percent = 3;
// Calls until the cap rises again; each further rise comes after four fifths as many, so that the limit is met again
// after `calls_per_refusal` calls at the least, and after five times the first interval at the most.
constexpr std::int64_t first_interval = 430, first_interval_falling = 560;
constexpr std::int64_t calls_per_refusal = 1000;
// A step is so small a part of the level.
constexpr Tokens steps_per_level = 250;

// The first interval from which `raises` rises take `calls_per_refusal` calls.
std::int64_t interval_for(Tokens raises) {
  std::int64_t sum = 0, share = 1000;  // in thousandths of the first interval
  for (Tokens i = 0; i < std::min<Tokens>(raises, 8); ++i) {
    sum += share;
    share = share * 4 / 5;
  }
  return calls_per_refusal * 1000 / std::max<std::int64_t>(1, sum);
}

}  // namespace

std::optional<Instant> ConcurrencyCap::blocked(Tokens in_flight, bool ramps, const LearnRules& rules, Instant now) {
  if (!cap_) {
    if (!ramps || !rules.enabled) return std::nullopt;
    cap_ = std::max<Tokens>(1, rules.start);
  }
  if (in_flight < *cap_) return std::nullopt;
  if (now >= until_) {
    if (!ramps && now >= until_ + rules.keep) {
      forget();
      return std::nullopt;
    }
    refused_at_ = 0;
    slope_ = 1;
  }
  if (!reached_) reached_ = now;
  if (source_ == Source::body && learned(now)) return until_;
  if (refused_at_ > 0 && calls_ < interval_) return never;
  if (now < *reached_ + sure_after()) return *reached_ + sure_after();
  raise();
  return std::nullopt;
}

void ConcurrencyCap::raise() {
  Tokens step = step_max;
  if (refused_at_ > 0) {
    step = std::clamp<Tokens>(refused_at_ / steps_per_level, 1, step_max);
    // Beyond the level of the last refusal the limit must have moved.
    interval_ = *cap_ < refused_at_ ? interval_ * 4 / 5 : interval_ * 3 / 5;
  }
  *cap_ += step;
  calls_ = 0;
  reached_.reset();
}

void ConcurrencyCap::lower(Tokens cap, Source source, const LearnRules& rules, Instant now) {
  cap_ = std::max<Tokens>(1, cap);
  source_ = source;
  learned_at_ = now;
  until_ = now + rules.keep;
  calls_ = 0;
  reached_.reset();
}

void ConcurrencyCap::turned_away(Tokens in_flight, Instant admitted_at, Duration answered_in, const LearnRules& rules,
                                 Instant now) {
  if (!rules.enabled) return;
  answer_time_ = std::clamp<Duration>(std::max<Duration>(answered_in * 3 / 2, answer_time_ * 7 / 8), answer_time_min,
                                      answer_time_max);
  if (admitted_at <= learned_at_) return;  // it was on its way when the cap came down
  const Tokens level = cap_ ? std::min(in_flight, *cap_) : in_flight;
  const bool falling = refused_at_ > 0 && level * 100 < refused_at_ * (100 - moved_percent);
  const bool rising = refused_at_ > 0 && level * 100 > refused_at_ * (100 + moved_percent);
  const Tokens percent = falling ? percent_falling : rising ? percent_rising : percent_steady;
  // One that was alone is not one of ours too many: there is no level to stay below, the way up is tried anew.
  refused_at_ = level > 1 ? level : 0;
  lower(std::min(level - 1, level * percent / 100), Source::outcome, rules, now);
  const Tokens raises = (level - *cap_) / std::clamp<Tokens>(level / steps_per_level, 1, step_max);
  interval_ = std::max(falling ? first_interval_falling : first_interval, interval_for(raises));
}

void ConcurrencyCap::told(Tokens allowed, const LearnRules& rules, Instant now) {
  if (!rules.enabled) return;
  refused_at_ = 0;
  lower(allowed, Source::body, rules, now);
}

void ConcurrencyCap::too_steep(Tokens in_flight, Instant admitted_at, const LearnRules& rules, Instant now) {
  if (!rules.enabled || admitted_at <= learned_at_) return;
  refused_at_ = 0;
  slope_ = std::min(slope_ * 2, slope_max);
  lower((cap_ ? std::min(in_flight, *cap_) : in_flight) / 2, Source::outcome, rules, now);
}

std::optional<Tokens> ConcurrencyCap::limit(Tokens in_flight, Instant now) const {
  if (!cap_ || (!learned(now) && in_flight < *cap_)) return std::nullopt;
  return cap_;
}

std::optional<Instant> ConcurrencyCap::ramped_to(Tokens in_flight, Tokens more, Instant now) const {
  if (!cap_ || refused_at_ > 0 || (source_ == Source::body && learned(now))) return std::nullopt;
  const Tokens missing = std::max<Tokens>(0, in_flight + more - *cap_);
  return now + sure_after() * ((missing + step_max - 1) / step_max);
}

}  // namespace weir::admission
