// How the use of a window will move: what leaves it and what running calls are expected to add, in bins of a 64th of
// the window, one window ahead. Answers one question: how high will it stand at its highest? A reservation is thus a
// forecast over time and not a lump: what will have left before the new tokens come takes no room from them. Pure,
// integers only.
#pragma once

#include <array>

#include "admission/units.hpp"

namespace weir::admission {

// What a running call is expected to be charged, evenly between two instants. Kept by its owner and handed back
// unchanged to take it out again.
struct Outlook {
  Tokens amount = 0;
  Instant planned_at{};
  Instant begin{};
  Instant end{};      // equal to begin: all at once
  bool lump = false;  // counts in full from now on (a reservation of the cap, or nothing known about when)
};

class Horizon {
 public:
  static constexpr std::int64_t bins = 64;

  explicit Horizon(Duration window) : width_(window / bins) {}

  void advance(Instant now);

  void add_leaving(Instant leaves, Tokens amount) { at(bin_of(leaves)) -= amount; }
  void remove_leaving(Instant leaves, Tokens amount) { at(bin_of(leaves)) += amount; }

  // REQUIRES: advance(outlook.planned_at) was called.
  void plan(const Outlook& outlook) { apply(outlook, 1); }
  void unplan(const Outlook& outlook) { apply(outlook, -1); }

  // Expected by now and not yet reported.
  Tokens overdue() const { return overdue_; }
  Tokens planned() const { return planned_; }
  // By how much the use will rise above what it is now, at its highest, overdue included; with one more call if given.
  Tokens peak(const Outlook* more) const;
  // The use above what it is now when the bin of `instant`, which is in view, is over; and when that is.
  Tokens level_after(Instant instant) const;
  Instant end_of_bin(Instant instant) const { return Instant((bin_of(instant) + 1) * width_); }
  Duration bin_width() const { return width_; }

 private:
  static constexpr std::size_t ring = 128;  // a window ahead, half a window of guard, and some

  std::int64_t bin_of(Instant instant) const { return instant.time_since_epoch().count() / width_.count(); }
  Tokens& at(std::int64_t bin) { return net_[static_cast<std::size_t>(bin) % ring]; }
  void apply(const Outlook& outlook, int sign);
  template <typename Each>
  void spread(const Outlook& outlook, Each each) const;

  Duration width_;
  std::int64_t current_ = 0;
  std::array<Tokens, ring> net_{};  // by bin: planned minus leaving
  Tokens overdue_ = 0;
  Tokens planned_ = 0;  // of all outlooks in here
};

}  // namespace weir::admission
