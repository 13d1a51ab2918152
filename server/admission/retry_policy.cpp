#include "admission/retry_policy.hpp"

#include <algorithm>

namespace weir::admission {

void RetryBudget::note_first_try() {
  tenths_ = std::min(most_tenths, tenths_ + share_tenths);
}

bool RetryBudget::take() {
  if (tenths_ < 10) return false;
  tenths_ -= 10;
  return true;
}

std::optional<Instant> next_try(const Attempted& attempted, const RetryRules& rules, RetryBudget& budget, Instant now,
                                Rng& rng) {
  if (!rules.enabled) return std::nullopt;
  const bool refused = attempted.trouble == Trouble::refused;
  if (attempted.trouble == Trouble::unanswered && (!rules.after_send || attempted.side_effects)) return std::nullopt;
  if (attempted.trouble == Trouble::failed && attempted.side_effects) return std::nullopt;
  if (!refused && attempted.tries_in_vain >= rules.tries_max) return std::nullopt;

  Duration pause;
  if (attempted.hint) {
    // A little more than was asked for, so that not all come back in the same instant.
    const auto more = std::max<Duration::rep>(1, attempted.hint->count() / 10);
    pause = *attempted.hint + Duration(static_cast<Duration::rep>(rng() % static_cast<std::uint64_t>(more)));
  } else {
    const unsigned doublings = std::min(attempted.tries - 1, 10u);
    const Duration most = std::min(rules.pause_max, rules.pause_min * (1 << doublings));
    // Full jitter, but never at once.
    const auto range = static_cast<std::uint64_t>(std::max<Duration::rep>(1, (most - rules.pause_min / 5).count()));
    pause = rules.pause_min / 5 + Duration(static_cast<Duration::rep>(rng() % range));
  }
  if (attempted.deadline != never && now + pause >= attempted.deadline) return std::nullopt;
  if (!refused && attempted.trouble != Trouble::unsent && !budget.take()) return std::nullopt;
  return now + pause;
}

}  // namespace weir::admission
