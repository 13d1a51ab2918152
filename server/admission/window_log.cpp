#include "admission/window_log.hpp"

#include <algorithm>
#include <cassert>

namespace weir::admission {

void WindowLog::reshape(WindowShape shape) {
  const Duration shift = (shape.window + shape.guard) - (shape_.window + shape_.guard);
  for (Entry& entry : entries_) entry.leaves += shift;
  shape_ = shape;
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

void WindowLog::book_until(Instant leaves, Tokens amount) {
  assert(amount >= 0);
  if (amount == 0) return;
  used_ += amount;
  auto place = entries_.end();
  while (place != entries_.begin() && std::prev(place)->leaves > leaves) --place;
  if (place != entries_.begin() && std::prev(place)->leaves == leaves) {
    std::prev(place)->amount += amount;
  } else {
    entries_.insert(place, Entry{leaves, amount});
  }
}

WindowLog::Entry WindowLog::take_back(Instant leaves, Tokens amount) {
  auto place = std::upper_bound(entries_.begin(), entries_.end(), leaves,
                                [](Instant instant, const Entry& entry) { return instant < entry.leaves; });
  if (place == entries_.begin()) return {};
  --place;
  const Tokens taken = std::min(amount, place->amount);
  place->amount -= taken;
  used_ -= taken;
  return {place->leaves, taken};
}

Instant WindowLog::when_at_most(Tokens level) const {
  if (level < 0) return never;
  Tokens left = used_;
  if (left <= level) return Instant::min();
  for (const Entry& entry : entries_) {
    left -= entry.amount;
    if (left <= level) return entry.leaves;
  }
  return never;
}

}  // namespace weir::admission
