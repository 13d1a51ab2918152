#include "admission/day_meter.hpp"

#include <algorithm>

namespace weir::admission {

void DayMeter::configure(std::optional<Tokens> limit, Instant resets, Duration guard, Instant now) {
  advance(now);  // what is over was over by the old settings
  limit_ = limit;
  guard_ = guard;
  if (resets == never) return;
  // Within the guard after a midnight the old day is not over yet.
  const bool goes_on = resets_ <= now;
  after_ = goes_on ? resets : never;
  if (!goes_on) resets_ = resets;
}

void DayMeter::advance(Instant now) {
  // The provider's clock may be behind by the guard: until then its old day goes on.
  while (resets_ != never && now >= resets_ + guard_) {
    used_ = late_;
    late_ = 0;
    began_ = resets_;
    resets_ = after_ == never ? resets_ + std::chrono::hours(24) : after_;
    after_ = never;
  }
}

std::optional<Instant> DayMeter::blocked(Tokens amount) const {
  return predict(0, amount, Basis::guesses);
}

std::optional<Instant> DayMeter::predict(Tokens ahead, Tokens own, Basis basis) const {
  const Tokens booked = used_ + reserved_ + (basis == Basis::guesses ? expected_ : 0);
  if (!limit_ || booked + ahead == 0) return std::nullopt;  // an unused day takes anything
  const Tokens limit = std::max<Tokens>(1, *limit_);
  const Tokens missing =
      ahead + std::min(own, limit) - std::max<Tokens>(0, *limit_ - booked);  // of a day nothing is owed
  if (missing <= 0) return std::nullopt;
  if (resets_ == never) return never;
  const auto later_days = std::min<Tokens>((missing - 1) / limit, 3650);
  if (later_days == 0 || after_ == never) return resets_ + guard_ + std::chrono::hours(24) * later_days;
  return after_ + guard_ + std::chrono::hours(24) * (later_days - 1);
}

void DayMeter::charge(Tokens amount, Instant now) {
  used_ += amount;
  if (is_late(now)) late_ += amount;
}

void DayMeter::correct(Instant sent_at, Tokens difference) {
  if (sent_at + guard_ < began_) return;
  used_ = std::max<Tokens>(0, used_ + difference);
  if (is_late(sent_at)) late_ = std::max<Tokens>(0, late_ + difference);
}

}  // namespace weir::admission
