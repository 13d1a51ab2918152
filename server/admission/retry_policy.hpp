// Whether a failed call is worth another try, and not before when. Pure: time and chance come in as arguments.
#pragma once

#include <optional>

#include "admission/units.hpp"

namespace weir::admission {

// What became of a try, as far as it matters for the next one.
enum class Trouble : std::uint8_t {
  refused,     // turned away at the door (429, 503): nothing was done, and the account is paused
  unsent,      // no connection, or broken before the request was through
  unanswered,  // sent, and the connection broke or nothing came: may have been billed
  failed,      // answered with a failure of the upstream's own (5xx, an error inside a 200)
};

struct RetryRules {
  bool enabled = true;
  bool after_send = true;  // false: what may have been billed is not repeated
  // Tries in all of what is not a refusal; one more seldom helps, and each costs the upstream a call.
  unsigned tries_max = 4;
  // Refusals cost nobody anything; with pauses that double, so many outlast a minute's budget.
  unsigned refusals_max = 8;
  Duration pause_min = std::chrono::milliseconds(500);
  Duration pause_max = std::chrono::seconds(30);
};

// A share of first tries may be repeated, plus a floor, so that an upstream that fails everything is not hit twice as
// hard.
class RetryBudget {
 public:
  void note_first_try();
  bool take();  // false: used up
  // Retries that may be taken now; a tenth is what a first try adds.
  double left() const { return static_cast<double>(tenths_) / 10; }

 private:
  static constexpr std::int64_t share_tenths = 1;    // a tenth
  static constexpr std::int64_t floor_tenths = 100;  // ten retries from a standing start
  static constexpr std::int64_t most_tenths = 1000;  // what quiet times can save up
  std::int64_t tenths_ = floor_tenths;
};

struct Attempted {
  Trouble trouble = Trouble::failed;
  unsigned refusals = 0;             // tries so far that were turned away
  unsigned refusals_of_account = 0;  // of whomever, in a row
  unsigned in_vain = 0;              // and those that came to nothing in another way
  std::optional<Duration> hint;      // what the upstream said
  bool side_effects = false;         // repeating could do something twice
  Instant deadline = never;          // of the request's waiting
  bool elsewhere = false;            // another account can take it now: there it need not wait
};

struct NextTry {
  enum class Verdict : std::uint8_t {
    again,
    not_ours,     // whether to repeat it is the caller's to decide: retries are off, or it has side effects
    pointless,    // weir has tried what there was to try, or may not repeat what may have been billed
    out_of_time,  // another try would come after its deadline
  };
  Verdict verdict = Verdict::not_ours;
  Instant not_before{};  // `again` only: at this account
};

NextTry next_try(const Attempted& attempted, const RetryRules& rules, RetryBudget& budget, Instant now, Rng& rng);

}  // namespace weir::admission
