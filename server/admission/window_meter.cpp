#include "admission/window_meter.hpp"

#include <algorithm>
#include <cassert>
#include <limits>
#include <utility>

#include "admission/refill.hpp"

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
  const WindowLimit before = std::exchange(limit_, limit);
  const Duration span = log_.shape().window + guard();
  log_.reshape(shape_of(limit), now);
  const Duration longer = log_.shape().window + guard() - span;
  last_gone_ += longer;
  log_.expire(now, [this](const WindowLog::Entry& entry) { gone(entry.leaves, entry.amount); });
  if (longer > Duration::zero()) assume_past(now);
  repart_debts(before);
  seed_slices(now);
  const bool same_rate = before.burst && before.limit == limit.limit && before.window == limit.window;
  if (!same_rate) seed_even_rate();
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
    gone(entry.leaves, entry.amount);
  });
  if (horizon_) horizon_->advance(now);
  debts_.fall_due(now, limit_.window, [&](Instant due, Tokens part) {
    const Instant leaves = log_.leaves_after(due);
    if (leaves <= now) return gone(leaves, part);  // while nobody looked
    book_until(leaves, part);
    if (slices_) book_slices(due, part);
  });
  if (slices_) {
    slice_debts_.fall_due(now, limit_.pacing, [&](Instant due, Tokens part) { slices_->book(due, part); });
    slices_->expire(now, [](const WindowLog::Entry&) {});
  }
  next_change_ = std::min({log_.next_leaving(), debts_.next_due(), slice_debts_.next_due()});
  if (horizon_) next_change_ = std::min(next_change_, horizon_->end_of_bin());
  if (slices_) next_change_ = std::min(next_change_, slices_->next_leaving());
}

void WindowMeter::gone(Instant left, Tokens amount) {
  if (amount == 0) return;
  gone_ += amount;
  last_gone_ = std::max(last_gone_, left);
}

// What has left a shorter window would still stand in this one. When each of it was sent is forgotten: it may all have
// been as late as the last of it.
void WindowMeter::assume_past(Instant now) {
  if (gone_ == 0 || last_gone_ <= now) return;
  log_.book_until(last_gone_, limit_.limit ? std::clamp<Tokens>(*limit_.limit - log_.used(), 0, gone_) : gone_);
}

// What calls owe is paid a limit's worth in each window, whatever the limit was when they were sent.
void WindowMeter::repart_debts(const WindowLimit& before) {
  debts_.repart(part_max(), limit_.window - before.window);
  if (limit_.limit) slice_debts_.repart(slice_limit(), limit_.pacing - before.pacing);
}

// Slices are new, or others: what was sent within them stands in the log too.
void WindowMeter::seed_slices(Instant now) {
  slices_.reset();
  if (!limit_.limit || limit_.pacing <= Duration::zero()) return slice_debts_.clear();
  slices_.emplace(slice_shape(limit_));
  for (const WindowLog::Entry& entry : log_.entries()) {
    if (const Instant sent = sent_at(entry.leaves); slices_->leaves_after(sent) > now)
      slices_->book(sent, entry.amount);
  }
}

// The even rate is new, or another: goes through what is in the window once more.
void WindowMeter::seed_even_rate() {
  even_until_ = {};
  for (const WindowLog::Entry& entry : log_.entries()) spend_evenly(entry.amount, sent_at(entry.leaves));
  if (debts_.sum() > 0) spend_evenly(debts_.sum(), even_until_);
}

std::optional<Instant> WindowMeter::blocked(Tokens arrival, const Outlook* later, Spread& spread, Instant now) const {
  if (!limit_.limit || idle()) return std::nullopt;  // an idle meter takes anything: what is larger than it runs alone
  const Tokens room = *limit_.limit - used() - reserved_;
  const bool forecast = planned() != 0 || later;
  if (const Tokens missing = arrival + rise(later, spread, room - arrival, now) - room; missing > 0) {
    // What is too much has to leave first. A forecast moves too: ask again a bin later at the latest; and what is
    // reserved becomes a charge without notice.
    Instant when = log_.used() > 0 ? log_.when_at_most(std::max<Tokens>(0, log_.used() - missing)) : never;
    when = std::min(when, debts_.next_due());
    if (forecast) when = std::min(when, now + horizon_->bin_width());
    return when == never ? now + horizon_->bin_width() : when;
  }
  if (arrival == 0) return std::nullopt;
  if (limit_.burst) {
    const Duration level = even_level(now);
    const Duration over = level + time_for(arrival) - even_level_max();
    // What is larger than a burst goes when all before it has been paid for.
    if (level > Duration::zero() && over > Duration::zero())
      return std::max(now + std::min(level, over), earliest_retry(now));
  }
  if (const Tokens booked = in_slice(); booked > 0) {
    if (const Tokens missing = booked + arrival - slice_limit(); missing > 0) {
      Instant when =
          slices_->used() > 0 ? slices_->when_at_most(std::max<Tokens>(0, slices_->used() - missing)) : never;
      when = std::min(when, slice_debts_.next_due());
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

Room WindowMeter::room(const Passing& ahead, const Passing& own, Instant now, Basis basis) const {
  if (!limit_.limit || idle()) return {now};
  const Tokens limit = std::max<Tokens>(1, *limit_.limit);
  const Tokens booked = used() + reserved_ + (basis == Basis::guesses ? horizon_->overdue() : 0);
  const bool evenly = limit_.burst || slices_;
  if (!evenly && ahead.all + std::min(own.all, limit) + booked <= limit) return {now};
  const Refill window{log_, debts_, limit, booked, limit_.window};
  Room last{window.room(ahead.all, own.all, now)};
  if (own.on_arrival == 0) return last;
  if (const Instant when = even_room(ahead, own, now); when > last.when) last = {when, Hold::burst};
  if (const Instant when = slice_room(ahead, own, now); when > last.when) last = {when, Hold::slice};
  return last;
}

// By the even rate: those ahead move its clock on by what they are charged.
Instant WindowMeter::even_room(const Passing& ahead, const Passing& own, Instant now) const {
  if (!limit_.burst) return now;
  const Duration level = even_level(now) + time_for(ahead.all);
  return now + std::clamp(level + time_for(own.on_arrival) - even_level_max(), Duration::zero(), level);
}

Instant WindowMeter::slice_room(const Passing& ahead, const Passing& own, Instant now) const {
  const Tokens booked = in_slice();
  if (booked == 0) return now;
  const Refill slice{*slices_, slice_debts_, slice_limit(), booked, limit_.pacing};
  return slice.room(ahead.on_arrival, own.on_arrival, now);
}

Instant WindowMeter::empty_at() const {
  if (debts_.sum() == 0) return log_.empty_at();
  return std::max(log_.empty_at(), log_.leaves_after(debts_.last_due(limit_.window)));
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
    debts_.add({now + limit_.window, arrival - rest, part_max(), now});
    next_change_ = std::min(next_change_, now + limit_.window);
  }
  book(now, rest);
  if (slices_) book_slices(now, rest);
}

void WindowMeter::charge(Tokens amount, Instant now) {
  spend_evenly(amount, now);
  book(now, amount);
}

// In few parts: the first are small, so that little is waited for shortly, the later ones a sixteenth of all before.
void WindowMeter::charge_evenly(Tokens amount, Tokens per_window, Instant now) {
  if (limit_.burst) spend_evenly(std::min(amount, *limit_.burst), now);
  const Tokens least = std::max<Tokens>(1, per_window / 4096);
  const std::chrono::duration<double> window = limit_.window;
  for (Tokens back = 0; back < amount;) {
    const Tokens part = std::min(amount - back, std::max(least, back / 16));
    back += part;
    const auto after = window * (static_cast<double>(back) / static_cast<double>(per_window));
    book(sent_at(now + guard() + std::chrono::duration_cast<Duration>(after)), part);
  }
}

void WindowMeter::correct(Instant sent_at, Tokens difference, Instant now) {
  if (difference < 0) {
    const Tokens unpaid = debts_.take_back(sent_at, -difference);
    spend_evenly(-unpaid, now);  // what is not due yet: the even rate has not got there
    difference += unpaid;
  }
  const Instant leaves = log_.leaves_after(sent_at);
  if (leaves <= now) return;
  if (difference > 0) {
    book_until(leaves, difference);
  } else if (difference < 0) {
    const WindowLog::Entry taken = log_.take_back(leaves, -difference);
    if (taken.amount > 0 && horizon_) horizon_->remove_leaving(taken.leaves, taken.amount);
  }
}

// Of calls that were sent at the same instant each gives back no more than it was charged.
void WindowMeter::forgive(Tokens arrival, Instant sent_at) {
  spend_evenly(-debts_.take_back(sent_at, arrival), sent_at);
  slice_debts_.take_back(sent_at, arrival);
}

void WindowMeter::unsend(Tokens arrival, Instant sent_at, Instant now) {
  const Tokens owed = debts_.sum();
  correct(sent_at, -arrival, now);
  const Tokens unpaid = owed - debts_.sum();
  // The even rate may have gone on since: what of the charge is past by now is not given back a second time.
  if (limit_.limit && limit_.burst)
    even_until_ -= std::max(Duration::zero(), time_for(arrival - unpaid) - (now - sent_at));
  if (slices_) unsend_slices(std::min(arrival, slice_limit()), sent_at);
  reserved_ += arrival;
}

// Slices that were paid since keep their part until they are over.
void WindowMeter::unsend_slices(Tokens first, Instant sent_at) {
  slice_debts_.take_back(sent_at, std::numeric_limits<Tokens>::max());
  slices_->take_back(slices_->leaves_after(sent_at), first);
}

void WindowMeter::assume_spent(Instant until) {
  if (!limit_.limit) return;
  Tokens missing = *limit_.limit;
  for (const WindowLog::Entry& entry : log_.entries()) missing -= entry.leaves >= until ? entry.amount : 0;
  if (missing <= 0) return;
  spend_evenly(missing, sent_at(until));
  book_until(until, missing);
  if (slices_) slices_->book_until(until, slice_limit());
  next_change_ = std::min(next_change_, until);
}

Tokens WindowMeter::debt() const {
  if (!limit_.limit) return 0;
  return std::max<Tokens>(0, used() - *limit_.limit);
}

void WindowMeter::restore(Instant leaves, Tokens amount) {
  spend_evenly(amount, sent_at(leaves));
  book_until(leaves, amount);
  if (slices_) slices_->book(sent_at(leaves), amount);
}

void WindowMeter::restore_debt(Instant due, Tokens amount) {
  spend_evenly(amount, due);  // what was paid has been restored, and the even rate has got there with it
  debts_.add({due, amount, part_max()});
  next_change_ = std::min(next_change_, due);
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
  const Tokens first = std::min(amount, slice_limit());
  slices_->book(at, first);
  if (amount > first) slice_debts_.add({at + limit_.pacing, amount - first, slice_limit(), at});
  next_change_ = std::min({next_change_, slices_->next_leaving(), slice_debts_.next_due()});
}

void WindowMeter::spend_evenly(Tokens amount, Instant now) {
  if (limit_.limit && limit_.burst) even_until_ = std::max(even_until_, now) + time_for(amount);
}

// What is on its way may arrive at once, however long ago it was let through.
Duration WindowMeter::even_level(Instant now) const {
  return std::max(Duration::zero(), even_until_ - now) + time_for(reserved_);
}

Duration WindowMeter::even_level_max() const {
  return std::max(Duration::zero(), time_for(*limit_.burst) - guard());
}

Tokens WindowMeter::in_slice() const {
  return slices_ ? slices_->used() + slice_debts_.sum() + reserved_ : 0;
}

Duration WindowMeter::time_for(Tokens amount) const {
  // Tokens times time has to fit, so whole windows are counted apart, and a day in milliseconds.
  const Tokens limit = std::max<Tokens>(1, *limit_.limit);
  const Duration whole = limit_.window * std::min(amount / limit, time_max / limit_.window);
  const auto part = [&](auto window) { return amount % limit * window.count() / limit; };
  if (limit_.window > std::chrono::hours(1))
    return whole +
           std::chrono::milliseconds(part(std::chrono::duration_cast<std::chrono::milliseconds>(limit_.window)));
  return whole + std::chrono::microseconds(part(std::chrono::duration_cast<std::chrono::microseconds>(limit_.window)));
}

Tokens WindowMeter::slice_limit() const {
  // limit * pacing / window rounded down, of which the product has to fit.
  using std::chrono::milliseconds;
  const auto window = std::max<Tokens>(1, std::chrono::duration_cast<milliseconds>(limit_.window).count());
  const auto pacing = std::min<Tokens>(window, std::chrono::duration_cast<milliseconds>(limit_.pacing).count());
  const Tokens limit = *limit_.limit;
  return std::max<Tokens>(1, limit / window * pacing + limit % window * pacing / window);
}

}  // namespace weir::admission
