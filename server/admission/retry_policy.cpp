#include "admission/retry_policy.hpp"

#include <algorithm>

namespace weir::admission {
namespace {

Duration up_to(Duration range, Rng& rng) {
  return Duration(
      static_cast<Duration::rep>(rng() % static_cast<std::uint64_t>(std::max<Duration::rep>(1, range.count()))));
}

Duration pause_before_next(const Attempted& attempted, const RetryRules& rules, Rng& rng) {
  const unsigned alike = attempted.trouble == Trouble::refused
                             ? std::max(attempted.refusals, attempted.refusals_of_account)
                             : attempted.in_vain;
  const unsigned doublings = std::min(std::max(alike, 1u) - 1, 16u);
  const Duration most = std::min(rules.pause_max, rules.pause_min * (1 << doublings));
  // Full jitter, but never at once.
  const Duration least = std::min(most, rules.pause_min / 5);
  const Duration own = least + up_to(most - least, rng);
  if (!attempted.hint) return own;
  // A little more than was asked for, so that not all come back in the same instant.
  const Duration hinted = *attempted.hint + up_to(*attempted.hint / 10, rng);
  // A hint that has been followed in vain bounds the pause from below only.
  return alike > 1 ? std::max(hinted, own) : hinted;
}

}  // namespace

void RetryBudget::note_first_try() {
  tenths_ = std::min(most_tenths, tenths_ + share_tenths);
}

bool RetryBudget::take() {
  if (tenths_ < 10) return false;
  tenths_ -= 10;
  return true;
}

NextTry next_try(const Attempted& attempted, const RetryRules& rules, RetryBudget& budget, Instant now, Rng& rng) {
  using Verdict = NextTry::Verdict;
  const Trouble trouble = attempted.trouble;
  const bool accepted = trouble == Trouble::unanswered || trouble == Trouble::failed;
  if (!rules.enabled || (accepted && attempted.side_effects)) return {Verdict::not_ours, {}};
  if (trouble == Trouble::unanswered && !rules.after_send) return {Verdict::pointless, {}};
  const bool spent =
      trouble == Trouble::refused ? attempted.refusals >= rules.refusals_max : attempted.in_vain >= rules.tries_max;
  if (spent) return {Verdict::pointless, {}};
  const Instant when = now + pause_before_next(attempted, rules, rng);
  const bool too_late = attempted.deadline != never && when >= attempted.deadline;
  if (too_late && !attempted.elsewhere) return {Verdict::out_of_time, {}};
  if (accepted && !budget.take()) return {Verdict::pointless, {}};
  return {Verdict::again, too_late ? attempted.deadline : when};
}

}  // namespace weir::admission
