// What was charged in the last window, and when it leaves again. Exact up to the width of a slot, and rounded towards
// safety: a charge stays at least one window and one guard. Memory is bounded by the number of slots in a window.
// Pure; knows no limit.
#pragma once

#include <deque>

#include "admission/running_sums.hpp"
#include "admission/units.hpp"

namespace weir::admission {

struct WindowShape {
  Duration window = std::chrono::seconds(60);
  // By how much the way to the provider may vary: what left our window must have left the provider's too.
  Duration guard = std::chrono::milliseconds(50);
  Duration slot = std::chrono::milliseconds(8);  // charges this close share an entry
  friend bool operator==(const WindowShape&, const WindowShape&) = default;
};

class WindowLog {
 public:
  struct Entry {
    Instant leaves;
    Tokens amount = 0;
  };

  explicit WindowLog(WindowShape shape) : shape_(shape) {}

  const WindowShape& shape() const { return shape_; }
  // Charges already there leave as much later or earlier as the window became longer or shorter, and not after one made
  // now would: the slots of a long window are long.
  void reshape(WindowShape shape, Instant now);

  // When a charge made at `at` leaves.
  Instant leaves_after(Instant at) const;

  // REQUIRES: amount >= 0. `at` may lie in the future (a debt that is paid window by window).
  void book(Instant at, Tokens amount);
  // Books an entry that leaves at this instant, whatever the window.
  void book_until(Instant leaves, Tokens amount);
  // Takes back up to `amount` from the entry that leaves then, or the nearest one before: the charge it corrects stands
  // there, unless it has left already. Returns what was taken, and from which entry.
  Entry take_back(Instant leaves, Tokens amount);

  // Lets go of what leaves until `now`; each entry is shown to `gone` first.
  template <typename Gone>
  void expire(Instant now, Gone gone) {
    while (!entries_.empty() && entries_.front().leaves <= now) {
      used_ -= entries_.front().amount;
      gone(entries_.front());
      sums_.pop_front(entries_.front().amount);
      entries_.pop_front();
    }
  }
  Tokens used() const { return used_; }

  // The earliest instant at which no more than `level` of what is booked now is left, in O(log n). `never` for a
  // negative level.
  Instant when_at_most(Tokens level) const;
  // When the next entry leaves.
  Instant next_leaving() const { return entries_.empty() ? never : entries_.front().leaves; }
  // When everything has left: `Instant::min()` for an empty log.
  Instant empty_at() const { return entries_.empty() ? Instant::min() : entries_.back().leaves; }

  const std::deque<Entry>& entries() const { return entries_; }  // in order of leaving

 private:
  std::deque<Entry>::iterator first_after(Instant instant);
  void sum_again();

  WindowShape shape_;
  std::deque<Entry> entries_;
  RunningSums sums_;  // of the amounts of entries_
  Tokens used_ = 0;
};

}  // namespace weir::admission
