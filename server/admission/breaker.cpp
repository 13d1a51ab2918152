#include "admission/breaker.hpp"

#include <algorithm>

namespace weir::admission {

void Breaker::open(Instant until) {
  until_ = std::max(until_, until);
  allowed_ = 1;
  on_their_way_ = 0;
}

Breaker::State Breaker::state(Instant now) const {
  if (allowed_ == 0) return State::closed;
  return now < until_ ? State::open : State::half_open;
}

std::optional<Instant> Breaker::blocked(Instant now) const {
  if (allowed_ == 0) return std::nullopt;
  if (now < until_) return until_;
  if (on_their_way_ < allowed_ || now >= last_admitted_ + answer_max) return std::nullopt;
  return last_admitted_ + answer_max;
}

void Breaker::admitted(Instant now) {
  if (allowed_ == 0) return;
  if (on_their_way_ >= allowed_) {
    allowed_ += on_their_way_;
    on_their_way_ = 0;
  }
  ++on_their_way_;
  last_admitted_ = now;
  if (allowed_ >= allowed_max) allowed_ = 0;
}

void Breaker::taken_in(Instant admitted_at) {
  if (!counts(admitted_at)) return;
  on_their_way_ -= std::min(on_their_way_, 1u);
  if (++allowed_ >= allowed_max) allowed_ = 0;
}

void Breaker::came_to_nothing(Instant admitted_at) {
  if (counts(admitted_at)) on_their_way_ -= std::min(on_their_way_, 1u);
}

}  // namespace weir::admission
