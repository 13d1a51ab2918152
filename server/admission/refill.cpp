#include "admission/refill.hpp"

#include <algorithm>

namespace weir::admission {

Instant Refill::room(Tokens ahead, Tokens own, Instant now) const {
  Tokens missing = ahead + std::min(own, limit) + booked - limit;
  if (missing <= 0) return now;
  // What goes as there is room leaves one window later: from then on everything repeats.
  const Tokens cycle = std::max(limit, booked);
  const Duration slot = log.shape().slot;
  const Duration period = ((log.shape().window + log.shape().guard) / slot + 1) * slot;
  Tokens periods = missing > cycle ? (missing - cycle + limit - 1) / limit : 0;
  missing -= periods * limit;
  periods = std::min<Tokens>(periods, time_max / period);
  return std::max(now, when_left(missing, now)) + period * periods;
}

// When so much of what is there now will have left: what was charged, then what is sent now, then what is owed.
Instant Refill::when_left(Tokens amount, Instant now) const {
  if (amount <= log.used()) return log.when_at_most(log.used() - amount);
  const Tokens owed_after = std::max(limit, booked) - debts.sum();
  if (amount <= owed_after || debts.sum() == 0) return log.leaves_after(now);
  return log.leaves_after(debts.when_due(amount - owed_after, window));
}

}  // namespace weir::admission
