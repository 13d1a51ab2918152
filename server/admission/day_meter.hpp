// One limit over a calendar day: used starts again at the provider's midnight. Pure; the caller knows the calendar.
#pragma once

#include <optional>

#include "admission/units.hpp"

namespace weir::admission {

class DayMeter {
 public:
  // `resets`: the next midnight; `never`: the old ones go on, and without any it does not start again.
  void configure(std::optional<Tokens> limit, Instant resets, Duration guard, Instant now);
  std::optional<Tokens> limit() const { return limit_; }

  void advance(Instant now);
  // Before then advance() changes nothing.
  Instant next_change() const { return resets_ == never ? never : resets_ + guard_; }
  // nullopt: there is room. Otherwise when it starts again.
  std::optional<Instant> blocked(Tokens amount) const;
  // The same behind others, which may take several days. By knowledge: whatever comes of what is expected.
  std::optional<Instant> predict(Tokens ahead, Tokens own, Basis basis) const;

  void reserve(Tokens amount) { reserved_ += amount; }
  void release(Tokens amount) { reserved_ -= amount; }
  void plan(Tokens amount) { expected_ += amount; }
  void unplan(Tokens amount) { expected_ -= amount; }
  void charge(Tokens amount, Instant now);
  // In every day that the charge of then counts in.
  void correct(Instant sent_at, Tokens difference);

  Tokens used() const { return used_; }
  Tokens reserved() const { return reserved_ + expected_; }
  Instant resets() const { return resets_; }

 private:
  bool is_late(Instant at) const { return resets_ != never && at >= resets_ - guard_; }

  std::optional<Tokens> limit_;
  Duration guard_{};
  Instant began_ = Instant::min();
  Instant resets_ = never;
  Instant after_ = never;  // the midnight after it, where that is not a day later
  Tokens used_ = 0;
  Tokens late_ = 0;  // charged within the guard before midnight: the provider may count it in the new day
  Tokens reserved_ = 0;
  Tokens expected_ = 0;
};

}  // namespace weir::admission
