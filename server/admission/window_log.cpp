#include "admission/window_log.hpp"

#include <algorithm>
#include <cassert>

namespace weir::admission {

void WindowLog::reshape(WindowShape shape, Instant now) {
  const Duration shift = (shape.window + shape.guard) - (shape_.window + shape_.guard);
  shape_ = shape;
  const Instant latest = leaves_after(now);
  for (Entry& entry : entries_) entry.leaves = std::min(entry.leaves + shift, latest);
}

Instant WindowLog::leaves_after(Instant at) const {
  // The end of the slot in which it was made: later charges of the slot must not leave early.
  const auto slot = shape_.slot.count();
  auto index = at.time_since_epoch().count() / slot;
  if (at.time_since_epoch().count() % slot < 0) --index;
  return Instant(Duration((index + 1) * slot)) + shape_.window + shape_.guard;
}

void WindowLog::book(Instant at, Tokens amount) {
  book_until(leaves_after(at), amount);
}

// Most of what is looked for is young: the last few are looked at before all others.
std::deque<WindowLog::Entry>::iterator WindowLog::first_after(Instant instant) {
  auto end = entries_.end();
  for (int looks = 8; looks > 0 && end != entries_.begin(); --looks, --end) {
    if (std::prev(end)->leaves <= instant) return end;
  }
  return std::upper_bound(entries_.begin(), end, instant,
                          [](Instant sought, const Entry& entry) { return sought < entry.leaves; });
}

void WindowLog::sum_again() {
  sums_.assign(entries_.size(), [this](std::size_t place) { return entries_[place].amount; });
}

void WindowLog::book_until(Instant leaves, Tokens amount) {
  assert(amount >= 0);
  if (amount == 0) return;
  used_ += amount;
  // Nearly every charge is the newest.
  if (entries_.empty() || entries_.back().leaves < leaves) {
    entries_.push_back({leaves, amount});
    return sums_.full() ? sum_again() : sums_.push_back(amount);
  }
  if (entries_.back().leaves == leaves) {
    entries_.back().amount += amount;
    return sums_.add(entries_.size() - 1, amount);
  }
  const auto after = first_after(leaves);
  if (after != entries_.begin() && std::prev(after)->leaves == leaves) {
    std::prev(after)->amount += amount;
    return sums_.add(static_cast<std::size_t>(after - entries_.begin()) - 1, amount);
  }
  entries_.insert(after, Entry{leaves, amount});
  sum_again();
}

WindowLog::Entry WindowLog::take_back(Instant leaves, Tokens amount) {
  auto place = first_after(leaves);
  if (place == entries_.begin()) return {};
  --place;
  const Tokens taken = std::min(amount, place->amount);
  place->amount -= taken;
  sums_.add(static_cast<std::size_t>(place - entries_.begin()), -taken);
  used_ -= taken;
  return {place->leaves, taken};
}

Instant WindowLog::when_at_most(Tokens level) const {
  if (level < 0) return never;
  if (used_ <= level) return Instant::min();
  const std::size_t last = sums_.reach(used_ - level, [this](std::size_t place) { return entries_[place].amount; });
  assert(last < entries_.size());
  return entries_[last].leaves;
}

}  // namespace weir::admission
