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
  if (instant <= origin_) return 0;
  const auto since = instant - origin_;
  return since / tick_length + (since % tick_length != Clock::duration::zero());
}

void TimerWheel::place(Timer& timer) {
  // An empty wheel has not been driven: it starts from now. Not while advance() is under way: it goes through the ticks
  // one by one, and a timer put a whole turn ahead of a later one could land in the slot being visited and ring early.
  if (armed_ == 0 && !advancing_) current_ = std::max(current_, tick_of(Clock::now()) - 1);
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
  advancing_ = true;
  const std::int64_t now_tick = (now - origin_) / tick_length;
  while (armed_ > 0 && current_ < now_tick) {
    ++current_;
    Timer*& slot = slots_[static_cast<std::size_t>(current_ % slot_count)];
    // One is taken at a time, since ringing it may arm, move, disarm or destroy any other.
    while (slot) {
      Timer& timer = *slot;
      timer.unlink();
      if (tick_of(timer.deadline_) > current_) {
        place(timer);  // its deadline was moved on: in a later slot now
        continue;
      }
      timer.deadline_ = Instant::max();
      timer.bell_.ring();
    }
  }
  advancing_ = false;
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
