// The meters of one scope: a key, a team, an upstream account, or a model of an account. All meters are asked before
// any is charged, so a refusal costs nothing. Pure.
#pragma once

#include <array>
#include <deque>
#include <optional>
#include <string>
#include <vector>

#include "admission/day_meter.hpp"
#include "admission/learned_limits.hpp"
#include "admission/window_meter.hpp"

namespace weir::admission {

// What a scope may use. Limits by Meter; nullopt: unlimited.
struct BudgetLimits {
  Scope scope = Scope::key;
  std::string name;
  std::array<std::optional<Tokens>, meter_count> limits{};
  Duration window = std::chrono::seconds(60);
  Duration guard = std::chrono::milliseconds(50);
  Duration pacing{0};
  std::optional<Tokens> burst;  // of the token meters
  Instant day_resets = never;
  // Of a key: its share beside others, 0 as 1. Of a team: the share of its keys together, 0: they stand on their own.
  std::int64_t weight = 0;
  std::optional<Tokens> limit(Meter meter) const { return limits[static_cast<std::size_t>(meter)]; }
};

// A cost as it stands in time: what is still expected of a running call, in shape and amounts.
struct Expectation {
  Outlook output;    // as_produced: over time; at_end: at once
  Tokens input = 0;  // at_end: charged together with the output
};

struct Blocked {
  Meter meter = Meter::requests;
  Instant when = never;    // when to ask again
  Hold by = Hold::window;  // of a prediction: what of the meter's limit
  Tokens needs = 0;        // the same: what the call is expected to take of it
};

struct MeterView {
  std::optional<Tokens> limit;
  Tokens used = 0, reserved = 0, debt = 0;
  Duration full_in{0};  // until nothing is used any more, if nothing else passes
};

class Budget {
 public:
  explicit Budget(BudgetLimits limits);
  // What was learned of a meter stays, unless its configured limit is another now.
  void configure(BudgetLimits limits, Instant now);

  // The upstream's own word about a meter with a window. True: another limit is to hold, by apply_learned(). `whole`:
  // the limit of what this is a part of. REQUIRES: said.limit.
  bool note_limit(const SaidOfMeter& said, std::optional<Tokens> whole, const LearnRules& rules, Instant now);
  // The same for what has expired, or is to be forgotten.
  bool expire_learned(Instant now) { return learned_.expire(now); }
  // REQUIRES: nothing is planned here.
  void apply_learned(Instant now);
  void forget_learned();
  const LearnedLimits& learned() const { return learned_; }
  // As blocked(), by what was learned of calls at once; asked last, since whoever nothing else holds up makes it rise.
  std::optional<Blocked> blocked_by_cap(bool ramps, const LearnRules& rules, Instant now);
  ConcurrencyCap& cap() { return cap_; }
  const ConcurrencyCap& cap() const { return cap_; }

  // As they hold: what is configured, tightened by what was learned.
  const BudgetLimits& limits() const { return limits_; }
  const BudgetLimits& configured() const { return configured_; }
  void advance(Instant now);

  // REQUIRES for all below: advance(now).
  // `spread`: for the layout of what is expected, whatever it holds; as in plan() and unplan(). With one for all
  // budgets of a call it is laid out once.
  std::optional<Blocked> blocked(const Cost& cost, const Expectation* later, Spread& spread, Instant now) const;
  // A meter whose limit the cost alone exceeds; nullopt: none. Or, by so much that it would pay for too long, a limit's
  // worth in each window: in more than ten windows, and for more than ten minutes.
  enum class Beyond : std::uint8_t { limit, all_debt };
  std::optional<Meter> oversize(const Cost& cost, Beyond beyond = Beyond::limit) const;
  // The most that is not Beyond::all_debt. REQUIRES: a limit is configured.
  Tokens most_in_debt(Meter meter) const;
  // When a call could pass behind others, and which meter takes longest: a prediction. How long calls
  // stay in flight is not known before one has ended: that is guessed, or counts as nothing.
  using Basis = admission::Basis;
  struct Ahead {
    Tokens requests = 0, tokens = 0;
  };
  Blocked predict(const Ahead& ahead, const Cost& cost, Instant now, Basis basis = Basis::guesses) const;
  // A day that has no room for a call whatever those that run come to, and when the next one begins.
  std::optional<Blocked> day_over(const Cost& cost) const;

  void admit(const Cost& cost);
  void give_up(const Cost& cost);  // admitted and not sent
  void send(const Cost& cost, Instant now);
  // What was sent then did not arrive, and is to be sent again: as it was before.
  void unsend(const Cost& cost, Instant sent_at, Instant now);
  void finish(Duration held);  // a sent call is over
  // The same, when the upstream has yet to learn of it: its slot is free a guard later.
  void cut_off(Duration held, Instant now);
  void plan(const Expectation& expectation, Spread& spread);
  void unplan(const Expectation& expectation, Spread& spread);
  // Tokens used beside what was charged on arrival.
  void charge(Tokens input, Tokens output, Instant now);
  // The charge on arrival was another by so much.
  void correct(Instant sent_at, Tokens tokens, Tokens input, Instant now);
  // The upstream turned it away: what it was charged beyond a whole limit cannot have been taken.
  void forgive(const Cost& cost, Instant sent_at);
  // Of output that nobody saw: as much of it as the limits let through in one window.
  Tokens at_most_a_window(Tokens output) const;
  // A call of then did not count as a request after all.
  void uncount(Instant sent_at, Instant now);
  void assume_spent(Instant until, Instant now);
  // It comes back evenly, so much in each window, as from a bucket: when others used it is not known.
  // REQUIRES: tokens <= per_window.
  void note_used_by_others(Meter meter, Tokens tokens, Tokens per_window, Instant now);

  // Nothing is in flight or owed, and all windows are empty. Days are not looked at.
  bool idle() const;
  Tokens in_flight() const { return in_flight_; }
  // The same, and those that were cut off and may not have been noticed yet.
  Tokens slots_taken() const { return in_flight_ + static_cast<Tokens>(closing_.size()); }
  MeterView view(Meter meter, Instant now) const;

  // What is charged, for a file that outlives the process.
  struct Charge {
    Meter meter = Meter::requests;
    Duration leaves_in{0};  // of a day: until midnight; of a debt: until a limit's worth of it falls due
    Tokens amount = 0;
    bool debt = false;
  };
  std::vector<Charge> charges(Instant now) const;
  void restore(const Charge& charge, Instant now);

 private:
  Tokens windows_of_debt_max() const;
  static constexpr std::size_t windows = 4;  // requests, tokens, input, output
  void configure_days(Instant now);
  static Tokens on_arrival(Meter meter, const Cost& cost);
  static Tokens later(Meter meter, const Cost& cost);
  static Tokens expected(Meter meter, const Cost& cost);
  static Passing passing_ahead(Meter meter, const Ahead& ahead, const Cost& cost, Basis basis);
  static std::optional<Outlook> later_of(Meter meter, const Expectation& expectation);
  template <typename Each>
  void each_limited(const Expectation& expectation, Each each);
  void heed_change_of(const WindowMeter& meter) { next_change_ = std::min(next_change_, meter.next_change()); }
  WindowLimit window_limit(Meter meter) const;
  WindowMeter& window(Meter meter) { return windows_[static_cast<std::size_t>(meter)]; }
  const WindowMeter& window(Meter meter) const { return windows_[static_cast<std::size_t>(meter)]; }

  BudgetLimits configured_, limits_;
  LearnedLimits learned_;
  ConcurrencyCap cap_;
  Instant next_change_ = Instant::min();  // before then advance() changes nothing
  std::vector<WindowMeter> windows_;      // by Meter
  DayMeter requests_day_, tokens_day_;
  Tokens in_flight_ = 0;
  std::deque<Instant> closing_;  // when the slots of calls that were cut off are free; kept where slots are limited
  Duration held_{};              // how long a call is in flight, lately
};

}  // namespace weir::admission
