// How many calls at once an upstream takes when nobody says: found by trying one's way up, and by what is turned away.
//
// Ramping: from `start` the cap rises by a few calls as soon as those before have not been turned away in the time that
// takes; when one is, the limit is known to a few calls, and no more than those few were refused. Afterwards: additive
// increase, multiplicative decrease. A refusal takes the cap a few percent below the level it came at, and it climbs
// back slowly at first, then faster, so that a limit that stays is met about once in 1,000 calls and one that moves is
// followed: down in larger steps, up in quicker ones. What is learned is forgotten after a while, and the cap ramps on
// from where it is. It rises under demand only: whoever is not held up by it learns nothing.
//
// Pure; a refusal is one of calls that were admitted after the cap last changed, or it says nothing new.
#pragma once

#include <optional>

#include "admission/units.hpp"

namespace weir::admission {

// Where a learned limit comes from.
enum class Source : std::uint8_t {
  header,   // the upstream shows it beside its answers
  body,     // it stands in a refusal
  outcome,  // calls were turned away
};

struct LearnRules {
  bool enabled = true;
  Tokens start = 32;                         // calls at once that an upstream of which nothing is known gets at once
  Duration keep = std::chrono::minutes(10);  // how long what was learned holds
  friend bool operator==(const LearnRules&, const LearnRules&) = default;
};

class ConcurrencyCap {
 public:
  // nullopt: one more may go. Else when to ask again; `never`: when a call has ended. `ramps`: nothing is known of the
  // upstream, so that there is a cap from the first call on.
  std::optional<Instant> blocked(Tokens in_flight, bool ramps, const LearnRules& rules, Instant now);
  void admitted() { ++calls_; }

  // A call was turned away for being one too many; `in_flight` counts it. `answered_in`: how long that took.
  void turned_away(Tokens in_flight, Instant admitted_at, Duration answered_in, const LearnRules& rules, Instant now);
  // The same, and the upstream said how many it takes.
  void told(Tokens allowed, const LearnRules& rules, Instant now);
  // Turned away for growing too fast: half of it, and from there on at half the slope.
  void too_steep(Tokens in_flight, Instant admitted_at, const LearnRules& rules, Instant now);
  bool any() const { return cap_.has_value(); }
  void forget() { *this = ConcurrencyCap(); }

  // What holds now, if anything. A ramp that nobody presses against is no limit.
  std::optional<Tokens> limit(Tokens in_flight, Instant now) const;
  // When `more` calls beyond those in flight could go by the ramp alone; nullopt: it does not ramp.
  std::optional<Instant> ramped_to(Tokens in_flight, Tokens more, Instant now) const;

  bool learned(Instant now) const { return cap_ && now < until_; }
  Source source() const { return source_; }
  Instant learned_at() const { return learned_at_; }
  Instant until() const { return until_; }

 private:
  void lower(Tokens cap, Source source, const LearnRules& rules, Instant now);
  void raise();
  Duration sure_after() const { return answer_time_ * slope_; }

  std::optional<Tokens> cap_;
  Tokens refused_at_ = 0;           // calls at once when one was turned away; 0: not known, or no longer
  std::int64_t calls_ = 0;          // admitted since the cap last changed
  std::int64_t interval_ = 0;       // calls until it rises
  std::optional<Instant> reached_;  // since when the cap is used to the full
  Source source_ = Source::outcome;
  Instant learned_at_ = Instant::min(), until_ = Instant::min();
  Duration answer_time_ = answer_time_min;
  int slope_ = 1;  // so many times as long between two steps of a ramp

  // A provider that turns a call away takes about a round trip for it.
  static constexpr Duration answer_time_min = std::chrono::milliseconds(250);
  static constexpr Duration answer_time_max = std::chrono::seconds(3);
  // At most so many are refused when the ramp meets the limit.
  static constexpr Tokens step_max = 3;
  static constexpr int slope_max = 32;
};

}  // namespace weir::admission
