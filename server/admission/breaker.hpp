// The breaker of an account, or of its share of one model: closed, open, half-open. Open, nobody knocks. Then one call
// goes first; every call that is taken in lets two follow, until so many are on their way that traffic flows freely
// again. A call that is turned away opens it anew (the caller says until when).
//
// A refusal comes at once, an answer may take minutes: whoever has not been turned away for a while counts as taken in.
// Pure: time comes in as an argument.
#pragma once

#include <optional>

#include "admission/units.hpp"

namespace weir::admission {

class Breaker {
 public:
  enum class State : std::uint8_t { closed, open, half_open };

  void open(Instant until);
  State state(Instant now) const;
  Instant open_until() const { return until_; }

  // Nothing: one more call may be sent. Else when to ask again, if nothing happens before.
  std::optional<Instant> blocked(Instant now) const;
  void admitted(Instant now);
  // What became of a call, by when it was admitted: taken in, or over without (withdrawn, turned away, lost).
  void taken_in(Instant admitted_at);
  void came_to_nothing(Instant admitted_at);

 private:
  bool counts(Instant admitted_at) const { return allowed_ > 0 && admitted_at >= until_; }

  // No provider takes longer to turn a call away.
  static constexpr Duration answer_max = std::chrono::seconds(3);
  // So many at once are free traffic.
  static constexpr unsigned allowed_max = 64;

  Instant until_ = Instant::min();
  unsigned allowed_ = 0;  // on their way at once, without an answer; 0: any number, the breaker is closed
  unsigned on_their_way_ = 0;
  Instant last_admitted_ = Instant::min();
};

}  // namespace weir::admission
