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
  friend bool operator==(const Outlook&, const Outlook&) = default;
};

// An outlook by the bins it falls into, those in view when it was planned. Kept by whoever asks several horizons about
// the same call: it is laid out once for all of the same width.
class Spread {
 public:
  void lay(const Outlook& outlook, Duration width);

  std::int64_t first() const { return first_; }
  std::int64_t end() const { return first_ + count_; }
  // REQUIRES: first() <= bin < end().
  Tokens in(std::int64_t bin) const { return parts_[static_cast<std::size_t>(bin - first_)]; }

 private:
  void lay_evenly(std::int64_t last);

  Outlook outlook_;
  Duration width_{0};
  std::int64_t first_ = 0, count_ = 0;
  std::array<Tokens, 64> parts_{};  // `count_` of them
};

class Horizon {
 public:
  static constexpr std::int64_t bins = 64;

  explicit Horizon(Duration window) : width_(window / bins) {}

  void advance(Instant now);

  void add_leaving(Instant leaves, Tokens amount) { at(bin_of(leaves)).leaving += amount; }
  void remove_leaving(Instant leaves, Tokens amount) { at(bin_of(leaves)).leaving -= amount; }

  // REQUIRES: advance(outlook.planned_at) was called. `spread` is for the layout, whatever it holds.
  void plan(const Outlook& outlook, Spread& spread) { apply(outlook, spread, 1); }
  void unplan(const Outlook& outlook, Spread& spread) { apply(outlook, spread, -1); }

  // Expected by now and not yet reported.
  Tokens overdue() const { return overdue_; }
  Tokens planned() const { return planned_; }
  // By how much the use will rise above what it is now, at its highest, overdue included; with one more call if given.
  Tokens peak(const Outlook* more, Spread& spread) const;
  // No peak is higher: all that is planned comes, and nothing leaves.
  Tokens peak_max(const Outlook* more) const { return planned_ + (more ? more->amount : 0); }
  // What comes until the bin of `instant`, which is in view, is over, overdue included, should nothing leave.
  Tokens planned_until(Instant instant) const;
  // Until then advance() changes nothing.
  Instant end_of_bin() const { return Instant((current_ + 1) * width_); }
  Duration bin_width() const { return width_; }

 private:
  static constexpr std::size_t ring = 128;  // a window ahead, half a window of guard, and some

  struct Bin {
    Tokens planned = 0, leaving = 0;
    Tokens net() const { return planned - leaving; }
  };

  std::int64_t bin_of(Instant instant) const { return instant.time_since_epoch().count() / width_.count(); }
  Bin& at(std::int64_t bin) { return bins_[static_cast<std::size_t>(bin) % ring]; }
  const Bin& at(std::int64_t bin) const { return bins_[static_cast<std::size_t>(bin) % ring]; }
  void apply(const Outlook& outlook, Spread& spread, int sign);

  Duration width_;
  std::int64_t current_ = 0;
  Tokens overdue_ = 0;
  Tokens planned_ = 0;  // of all outlooks in here
  std::array<Bin, ring> bins_{};
};

}  // namespace weir::admission
