#include "admission/window_meter.hpp"

#include <algorithm>
#include <cassert>

namespace weir::admission {
namespace {

// 8,192 entries of 16 bytes at most for a meter with a limit: rounding costs a hundredth of a percent of use.
constexpr int slots_fine = 8192;
constexpr int slots_coarse = 64;

WindowShape shape_of(const WindowLimit& limit) {
  WindowShape shape;
  shape.window = limit.window;
  shape.guard = std::min(limit.guard, limit.window / 2);
  shape.slot =
      std::max<Duration>(limit.window / (limit.limit ? slots_fine : slots_coarse), std::chrono::microseconds(100));
  return shape;
}

WindowShape slice_shape(const WindowLimit& limit) {
  WindowShape shape;
  shape.window = limit.pacing;
  shape.guard = std::min(limit.guard, limit.pacing / 2);
  shape.slot = std::max<Duration>(limit.pacing / 256, std::chrono::microseconds(100));
  return shape;
}

}  // namespace

WindowMeter::WindowMeter(const WindowLimit& limit) : limit_(limit), log_(shape_of(limit)) {
  if (limit.limit) horizon_ = std::make_unique<Horizon>(limit.window);
  if (limit.limit && limit.pacing > Duration::zero()) slices_.emplace(slice_shape(limit));
}

void WindowMeter::configure(const WindowLimit& limit, Instant now) {
  advance(now);
  const bool slices = limit.limit && limit.pacing > Duration::zero();
  if (!slices) {
    slices_.reset();
  } else if (slices_) {
    slices_->reshape(slice_shape(limit), now);
  } else {
    slices_.emplace(slice_shape(limit));
  }
  limit_ = limit;
  log_.reshape(shape_of(limit), now);
  log_.expire(now, [](const WindowLog::Entry&) {});
  horizon_.reset();
  next_change_ = Instant::min();
  if (!limit.limit) return;
  horizon_ = std::make_unique<Horizon>(limit.window);
  horizon_->advance(now);
  for (const WindowLog::Entry& entry : log_.entries()) horizon_->add_leaving(entry.leaves, entry.amount);
}

void WindowMeter::advance(Instant now) {
  if (now < next_change_) return;
  // What leaves has to be taken out of the forecast before the forecast moves on.
  log_.expire(now, [this](const WindowLog::Entry& entry) {
    if (horizon_) horizon_->remove_leaving(entry.leaves, entry.amount);
  });
  if (horizon_) horizon_->advance(now);
  while (!debts_.empty() && debts_.front().due <= now) {
    const Debt due = debts_.front();
    debts_.pop_front();
    debt_ -= due.amount;
    if (log_.leaves_after(due.due) > now) book(due.due, due.amount);  // else it has left again
  }
  if (slices_) slices_->expire(now, [](const WindowLog::Entry&) {});
  next_change_ = log_.next_leaving();
  if (horizon_) next_change_ = std::min(next_change_, horizon_->end_of_bin());
  if (!debts_.empty()) next_change_ = std::min(next_change_, debts_.front().due);
  if (slices_) next_change_ = std::min(next_change_, slices_->next_leaving());
}

std::optional<Instant> WindowMeter::blocked(Tokens arrival, const Outlook* later, Spread& spread, Instant now) const {
  if (!limit_.limit || idle()) return std::nullopt;  // an idle meter takes anything: what is larger than it runs alone
  const Tokens room = *limit_.limit - used() - reserved_;
  const bool forecast = planned() != 0 || later;
  if (const Tokens missing = arrival + rise(later, spread, room - arrival, now) - room; missing > 0) {
    // What is too much has to leave first. A forecast moves too: ask again a bin later at the latest; and what is
    // reserved becomes a charge without notice.
    Instant when = log_.used() > 0 ? log_.when_at_most(std::max<Tokens>(0, log_.used() - missing)) : never;
    if (!debts_.empty()) when = std::min(when, debts_.front().due);
    if (forecast) when = std::min(when, now + horizon_->bin_width());
    return when == never ? now + horizon_->bin_width() : when;
  }
  if (arrival == 0) return std::nullopt;
  if (limit_.burst) {
    // What is on its way may arrive at once, however long ago it was let through.
    const Duration level = std::max(Duration::zero(), even_until_ - now) + time_for(reserved_);
    const Duration over = level + time_for(arrival) - std::max(Duration::zero(), time_for(*limit_.burst) - guard());
    // What is larger than a burst goes when all before it has been paid for.
    if (level > Duration::zero() && over > Duration::zero())
      return std::max(now + std::min(level, over), earliest_retry(now));
  }
  if (slices_ && slices_->used() + reserved_ > 0) {
    if (const Tokens missing = slices_->used() + reserved_ + arrival - slice_limit(); missing > 0) {
      const Instant when = slices_->when_at_most(std::max<Tokens>(0, slices_->used() - missing));
      return std::max(when == never ? now + limit_.pacing : when, now + slices_->shape().slot);
    }
  }
  return std::nullopt;
}

// What running calls will add to the use at its highest. While the next one is on its way nothing counts as gone: a bin
// does not tell what comes first in it. A rise that fits into `room` is not looked at more closely.
Tokens WindowMeter::rise(const Outlook* later, Spread& spread, Tokens room, Instant now) const {
  if (planned() == 0 && !later) return 0;
  if (const Tokens most = horizon_->peak_max(later); most <= room) return most;
  return std::max(horizon_->peak(later, spread), horizon_->planned_until(now + guard()));
}

Instant WindowMeter::predict(Tokens amount, Instant now) const {
  if (!limit_.limit) return now;
  const Tokens room = *limit_.limit - used() - reserved_ - horizon_->overdue();
  if (amount <= room || idle()) return now;
  const Tokens missing = amount - room;
  Instant when = now;
  if (missing <= log_.used()) {
    when = std::max(now, log_.when_at_most(log_.used() - missing));
  } else {
    // Everything of today has left, and what passed meanwhile leaves at the even rate.
    when = std::max(now, log_.empty_at()) + time_for(missing - log_.used());
  }
  return when;
}

void WindowMeter::reserve(Tokens arrival) {
  reserved_ += arrival;
}

void WindowMeter::release(Tokens arrival) {
  assert(arrival <= reserved_);
  reserved_ -= arrival;
}

void WindowMeter::send(Tokens arrival, Instant now) {
  assert(arrival <= reserved_);
  reserved_ -= arrival;
  spend_evenly(arrival, now);
  Tokens rest = arrival;
  // A call that is larger than the limit pays for as many windows as it takes.
  if (limit_.limit && *limit_.limit > 0 && arrival > *limit_.limit) {
    rest = *limit_.limit;
    Instant due = now;
    for (Tokens more = arrival - rest; more > 0;) {
      const Tokens part = std::min(more, *limit_.limit);
      due += limit_.window;
      debts_.push_back({due, part});
      next_change_ = std::min(next_change_, due);
      debt_ += part;
      more -= part;
    }
  }
  book(now, rest);
  if (slices_) book_slices(now, arrival);
}

void WindowMeter::charge(Tokens amount, Instant now) {
  spend_evenly(amount, now);
  book(now, amount);
}

void WindowMeter::correct(Instant sent_at, Tokens difference, Instant now) {
  const Instant leaves = log_.leaves_after(sent_at);
  if (leaves <= now) return;
  if (difference > 0) {
    book_until(leaves, difference);
  } else if (difference < 0) {
    const WindowLog::Entry taken = log_.take_back(leaves, -difference);
    if (taken.amount > 0 && horizon_) horizon_->remove_leaving(taken.leaves, taken.amount);
  }
}

void WindowMeter::assume_spent(Instant until) {
  if (!limit_.limit) return;
  restore(until, *limit_.limit);
  if (slices_) slices_->book_until(until, slice_limit());
  next_change_ = std::min(next_change_, until);
}

Tokens WindowMeter::debt() const {
  if (!limit_.limit) return 0;
  return std::max<Tokens>(0, used() - *limit_.limit);
}

void WindowMeter::restore(Instant leaves, Tokens amount) {
  spend_evenly(amount, leaves - limit_.window - guard());
  book_until(leaves, amount);
}

void WindowMeter::book(Instant at, Tokens amount) {
  if (amount != 0) book_until(log_.leaves_after(at), amount);
}

void WindowMeter::book_until(Instant leaves, Tokens amount) {
  log_.book_until(leaves, amount);
  if (horizon_) horizon_->add_leaving(leaves, amount);
  next_change_ = std::min(next_change_, leaves);
}

void WindowMeter::book_slices(Instant at, Tokens amount) {
  const Tokens whole = slice_limit();
  for (Instant when = at; amount > 0; when += limit_.pacing) {
    const Tokens part = std::min(amount, whole);
    slices_->book(when, part);
    amount -= part;
  }
  next_change_ = std::min(next_change_, slices_->next_leaving());
}

void WindowMeter::spend_evenly(Tokens amount, Instant now) {
  if (limit_.limit && limit_.burst) even_until_ = std::max(even_until_, now) + time_for(amount);
}

Duration WindowMeter::time_for(Tokens amount) const {
  // Tokens times time has to fit: a day is counted in milliseconds.
  const Tokens limit = std::max<Tokens>(1, *limit_.limit);
  if (limit_.window > std::chrono::hours(1)) {
    return std::chrono::milliseconds(
        amount * std::chrono::duration_cast<std::chrono::milliseconds>(limit_.window).count() / limit);
  }
  return std::chrono::microseconds(
      amount * std::chrono::duration_cast<std::chrono::microseconds>(limit_.window).count() / limit);
}

Tokens WindowMeter::slice_limit() const {
  const auto slices = std::max<Duration::rep>(1, limit_.window / limit_.pacing);
  return std::max<Tokens>(1, *limit_.limit / slices);
}

}  // namespace weir::admission
