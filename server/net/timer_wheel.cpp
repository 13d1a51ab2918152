#include "net/timer_wheel.hpp"

#include <algorithm>

namespace weir::net {

void Timer::arm(Instant deadline) {
  deadline_ = deadline;
  if (deadline == Instant::max()) return unlink();
  // Moved to later, the usual case: it stays where it is and is moved on when its slot is visited.
  if (link_ && tick_ <= wheel_.tick_of(deadline)) return;
  unlink();
  wheel_.place(*this);
}

void Timer::unlink() {
  if (!link_) return;
  *link_ = next_;
  if (next_) next_->link_ = link_;
  link_ = nullptr;
  next_ = nullptr;
  --wheel_.armed_;
}

// Rounded up: a deadline inside a tick is due when the tick is over.
std::int64_t TimerWheel::tick_of(Instant instant) const {
  const auto since = instant - origin_;
  return (since + tick_length - Clock::duration(1)) / tick_length;
}

void TimerWheel::place(Timer& timer) {
  if (armed_ == 0) current_ = std::max(current_, tick_of(Clock::now()) - 1);
  timer.tick_ = std::clamp(tick_of(timer.deadline_), current_ + 1, current_ + slot_count - 1);
  Timer*& slot = slots_[static_cast<std::size_t>(timer.tick_ % slot_count)];
  timer.next_ = slot;
  timer.link_ = &slot;
  if (slot) slot->link_ = &timer.next_;
  slot = &timer;
  ++armed_;
  if (scheduled_ < 0 || timer.tick_ < scheduled_) {
    scheduled_ = timer.tick_;
    schedule_(origin_ + scheduled_ * tick_length);
  }
}

void TimerWheel::advance(Instant now) {
  scheduled_ = -1;
  const std::int64_t now_tick = (now - origin_) / tick_length;
  while (armed_ > 0 && current_ < now_tick) {
    ++current_;
    Timer*& slot = slots_[static_cast<std::size_t>(current_ % slot_count)];
    // Timers whose deadline was moved on leave the slot first; then one is taken at a time, since ringing it may arm,
    // disarm or destroy any other.
    for (Timer* timer = slot; timer;) {
      Timer* next = timer->next_;
      if (tick_of(timer->deadline_) > current_) {
        timer->unlink();
        place(*timer);
      }
      timer = next;
    }
    while (slot) {
      Timer& timer = *slot;
      timer.unlink();
      timer.deadline_ = Instant::max();
      timer.bell_.ring();
    }
  }
  if (armed_ == 0) current_ = std::max(current_, now_tick);
  schedule_next();
}

void TimerWheel::schedule_next() {
  if (armed_ == 0) return;
  for (std::int64_t tick = current_ + 1; tick < current_ + slot_count; ++tick) {
    if (!slots_[static_cast<std::size_t>(tick % slot_count)]) continue;
    if (scheduled_ >= 0 && scheduled_ <= tick) return;
    scheduled_ = tick;
    return schedule_(origin_ + tick * tick_length);
  }
}

}  // namespace weir::net
