// One limit over one sliding window: what is reserved, what is charged, what is forecast. The base of weir's guarantee
// (docs/shaping.md): in no window of its length does what passes exceed the limit, for charges known on arrival.
// Pure; asked first, charged after. May be in debt.
#pragma once

#include <algorithm>
#include <limits>
#include <memory>
#include <optional>

#include "admission/debts.hpp"
#include "admission/horizon.hpp"
#include "admission/window_log.hpp"

namespace weir::admission {

struct WindowLimit {
  std::optional<Tokens> limit;  // nullopt: unlimited, but what passes is still remembered, coarsely
  Duration window = std::chrono::seconds(60);
  Duration guard = std::chrono::milliseconds(50);
  std::optional<Tokens> burst;  // at once above the even rate; nullopt: the whole limit
  Duration pacing{0};           // a slice over which the even rate must hold too; 0: none
  friend bool operator==(const WindowLimit&, const WindowLimit&) = default;
};

// Tokens that are to pass: all that is expected of them, and what of it is charged on arrival (everything, unless
// said).
struct Passing {
  Tokens all, on_arrival;
  Passing(Tokens amount) : Passing(amount, amount) {}
  Passing(Tokens expected, Tokens arrival) : all(expected), on_arrival(arrival) {}
};

// What of a limit holds a call up: the whole of it over its window, the even rate beyond a burst, or a slice of pacing.
enum class Hold : std::uint8_t { window, burst, slice };

struct Room {
  Instant when;
  Hold by = Hold::window;  // the last that makes room; of a call that is not held up: the window
};

class WindowMeter {
 public:
  explicit WindowMeter(const WindowLimit& limit);

  // Keeps what is charged; plans are forgotten and have to be made again. What passed before a window that was shorter
  // is not known any more, and taken for as much as it can have been.
  void configure(const WindowLimit& limit, Instant now);
  const WindowLimit& limit() const { return limit_; }

  void advance(Instant now);
  // Before then advance() changes nothing.
  Instant next_change() const { return next_change_; }

  // REQUIRES for all below: advance(now).
  // nullopt: there is room for a charge on arrival and what comes later. Otherwise when to ask again, later than now.
  // `spread`: for the layout of `later`, whatever it holds; as in plan() and unplan().
  std::optional<Instant> blocked(Tokens arrival, const Outlook* later, Spread& spread, Instant now) const;
  // When there would be room for `own` behind `ahead`, if each of those went as soon as there is room: a prediction.
  // What is larger than the limit goes when nothing else is there.
  Room room(const Passing& ahead, const Passing& own, Instant now, Basis basis = Basis::guesses) const;
  Instant predict(const Passing& ahead, const Passing& own, Instant now, Basis basis = Basis::guesses) const {
    return room(ahead, own, now, basis).when;
  }

  void reserve(Tokens arrival);            // admitted, not yet sent
  void release(Tokens arrival);            // will not be sent
  void send(Tokens arrival, Instant now);  // a reserved charge becomes one of this instant
  // REQUIRES for these two: a limit.
  void plan(const Outlook& outlook, Spread& spread) { horizon_->plan(outlook, spread); }
  void unplan(const Outlook& outlook, Spread& spread) { horizon_->unplan(outlook, spread); }
  void charge(Tokens amount, Instant now);  // always succeeds; may leave a debt
  // What comes back evenly from now on, so much in each window. REQUIRES: 0 < amount <= per_window.
  void charge_evenly(Tokens amount, Tokens per_window, Instant now);
  // A charge made at `sent_at` was another amount: in its own window, as far as it is still there. Less than the limit
  // and more is taken from what has yet to be paid first.
  void correct(Instant sent_at, Tokens difference, Instant now);
  // What was sent then has come to nothing, and what it has yet to pay is not asked for.
  void forgive(Tokens arrival, Instant sent_at);
  // What was sent then did not arrive and is to be sent again: it is reserved once more.
  void unsend(Tokens arrival, Instant sent_at, Instant now);
  // Behaves as if the limit had been used up until then.
  void assume_spent(Instant until);

  Tokens used() const { return log_.used() + debts_.sum(); }
  Tokens reserved() const { return reserved_ + planned(); }
  Tokens debt() const;
  // Nothing is charged, owed, reserved or expected.
  bool idle() const { return used() == 0 && reserved() == 0; }
  // When everything charged and owed has left.
  Instant empty_at() const;
  const WindowLog& log() const { return log_; }
  void restore(Instant leaves, Tokens amount);
  // What calls have yet to pay beyond it.
  const Debts& debts() const { return debts_; }
  void restore_debt(Instant due, Tokens amount);

 private:
  Tokens planned() const { return horizon_ ? horizon_->planned() : 0; }
  Instant even_room(const Passing& ahead, const Passing& own, Instant now) const;
  Instant slice_room(const Passing& ahead, const Passing& own, Instant now) const;
  Tokens rise(const Outlook* later, Spread& spread, Tokens room, Instant now) const;
  void book(Instant at, Tokens amount);
  void book_until(Instant leaves, Tokens amount);
  void book_slices(Instant at, Tokens amount);
  void unsend_slices(Tokens first, Instant sent_at);
  void gone(Instant left, Tokens amount);
  void assume_past(Instant now);
  void repart_debts(const WindowLimit& before);
  void seed_slices(Instant now);
  void seed_even_rate();
  Instant sent_at(Instant leaves) const { return leaves - log_.shape().window - guard(); }
  void spend_evenly(Tokens amount, Instant now);
  Duration time_for(Tokens amount) const;  // at the even rate
  Duration even_level(Instant now) const;  // of the burst, what is taken and on its way
  Duration even_level_max() const;
  Tokens in_slice() const;
  Tokens slice_limit() const;
  // Of a debt, in one window.
  Tokens part_max() const { return std::max<Tokens>(1, limit_.limit.value_or(std::numeric_limits<Tokens>::max())); }
  Instant earliest_retry(Instant now) const { return now + log_.shape().slot; }
  Duration guard() const { return log_.shape().guard; }

  WindowLimit limit_;
  WindowLog log_;
  std::unique_ptr<Horizon> horizon_;  // of a limit
  std::optional<WindowLog> slices_;
  Debts slice_debts_;     // what one call took beyond a slice
  Instant even_until_{};  // burst: where the even rate has got to with what was charged
  Tokens reserved_ = 0;
  Debts debts_;      // what one call took beyond the whole limit
  Tokens gone_ = 0;  // all that has left the window, ever
  Instant last_gone_{};
  Instant next_change_ = Instant::min();
};

}  // namespace weir::admission
