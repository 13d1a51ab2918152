#include "admission/budget.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

namespace weir::admission {
namespace {

constexpr Meter window_meters[] = {Meter::requests, Meter::tokens, Meter::input, Meter::output};

constexpr std::size_t index_of(Meter meter) {
  return static_cast<std::size_t>(meter);
}

// How many windows a charge is paid in, a limit's worth in each.
Tokens windows_of(Tokens amount, Tokens limit) {
  limit = std::max<Tokens>(1, limit);
  return (amount + limit - 1) / limit;
}

}  // namespace

Budget::Budget(BudgetLimits limits) : configured_(std::move(limits)), limits_(configured_) {
  // Those without a limit remember too, coarsely: one may be set while what passed still counts.
  for (const Meter meter : window_meters) windows_.emplace_back(window_limit(meter));
  configure_days(Instant::min());
}

void Budget::configure_days(Instant now) {
  requests_day_.configure(limits_.limit(Meter::requests_day), limits_.day_resets, limits_.guard, now);
  tokens_day_.configure(limits_.limit(Meter::tokens_day), limits_.day_resets, limits_.guard, now);
}

void Budget::configure(BudgetLimits limits, Instant now) {
  for (const Meter meter : window_meters) {
    if (limits.limit(meter) != configured_.limit(meter)) learned_.forget(meter);
  }
  if (limits.limit(Meter::in_flight) != configured_.limit(Meter::in_flight)) cap_.forget();
  configured_ = std::move(limits);
  apply_learned(now);
  configure_days(now);
}

bool Budget::note_limit(const SaidOfMeter& said, std::optional<Tokens> whole, const LearnRules& rules, Instant now) {
  std::optional<Tokens> known = configured_.limit(said.meter);
  if (whole) known = std::min(*whole, known.value_or(*whole));
  return learned_.note(said.meter, *said.limit, known, said.source, rules, now);
}

void Budget::apply_learned(Instant now) {
  limits_ = configured_;
  for (const Meter meter : window_meters)
    limits_.limits[index_of(meter)] = learned_.tightened(meter, configured_.limit(meter));
  next_change_ = Instant::min();
  for (const Meter meter : window_meters) window(meter).configure(window_limit(meter), now);
}

std::optional<Blocked> Budget::blocked_by_cap(bool ramps, const LearnRules& rules, Instant now) {
  const auto when = cap_.blocked(slots_taken(), ramps, rules, now);
  if (!when) return std::nullopt;
  return Blocked{Meter::in_flight, closing_.empty() ? *when : std::min(*when, closing_.front())};
}

void Budget::forget_learned() {
  learned_ = {};
  cap_.forget();
}

WindowLimit Budget::window_limit(Meter meter) const {
  WindowLimit limit;
  limit.limit = limits_.limit(meter);
  limit.window = limits_.window;
  limit.guard = limits_.guard;
  limit.pacing = std::min(limits_.pacing, limits_.window);
  if (meter != Meter::requests) limit.burst = limits_.burst;
  return limit;
}

void Budget::advance(Instant now) {
  if (now < next_change_) return;
  while (!closing_.empty() && closing_.front() <= now) closing_.pop_front();
  requests_day_.advance(now);
  tokens_day_.advance(now);
  next_change_ = std::min(requests_day_.next_change(), tokens_day_.next_change());
  if (!closing_.empty()) next_change_ = std::min(next_change_, closing_.front());
  for (WindowMeter& each : windows_) {
    each.advance(now);
    heed_change_of(each);
  }
}

Tokens Budget::on_arrival(Meter meter, const Cost& cost) {
  switch (meter) {
    case Meter::requests:
      return 1;
    case Meter::tokens:
      return cost.tokens;
    case Meter::input:
      return cost.input;
    default:
      return cost.output;
  }
}

std::optional<Outlook> Budget::later_of(Meter meter, const Expectation& expectation) {
  Outlook outlook = expectation.output;
  switch (meter) {
    case Meter::requests:
      return std::nullopt;
    case Meter::tokens:
      outlook.amount += expectation.input;
      break;
    case Meter::input:
      outlook.amount = expectation.input;
      break;
    default:
      break;
  }
  if (outlook.amount == 0) return std::nullopt;
  return outlook;
}

std::optional<Blocked> Budget::blocked(const Cost& cost, const Expectation* later, Spread& spread, Instant now) const {
  if (const auto limit = limits_.limit(Meter::in_flight); limit && slots_taken() >= *limit)
    return Blocked{Meter::in_flight, closing_.empty() ? never : closing_.front()};
  for (const Meter meter : window_meters) {
    if (!limits_.limit(meter)) continue;
    const auto outlook = later ? later_of(meter, *later) : std::nullopt;
    if (const auto when = window(meter).blocked(on_arrival(meter, cost), outlook ? &*outlook : nullptr, spread, now))
      return Blocked{meter, *when};
  }
  if (const auto when = requests_day_.blocked(1)) return Blocked{Meter::requests_day, *when};
  const Tokens day = cost.tokens + (later ? later->input + later->output.amount : 0);
  if (const auto when = tokens_day_.blocked(day)) return Blocked{Meter::tokens_day, *when};
  return std::nullopt;
}

std::optional<Meter> Budget::oversize(const Cost& cost, Beyond beyond) const {
  if (beyond == Beyond::limit) {
    // A prompt that is charged at the end is known too, and so is what is reserved in full.
    Cost known = cost;
    if (!cost.lump) known.later_output = 0;
    for (const Meter meter : {Meter::tokens, Meter::input, Meter::output, Meter::tokens_day}) {
      const auto limit = limits_.limit(meter);
      const Meter its = meter == Meter::tokens_day ? Meter::tokens : meter;
      if (limit && on_arrival(its, known) + later(its, known) > *limit) return meter;
    }
    return std::nullopt;
  }
  // By what is configured: what was learned expires. Of days nothing is owed.
  for (const Meter meter : {Meter::tokens, Meter::input, Meter::output}) {
    const auto limit = configured_.limit(meter);
    if (limit && windows_of(on_arrival(meter, cost), *limit) > windows_of_debt_max()) return meter;
  }
  return std::nullopt;
}

Tokens Budget::windows_of_debt_max() const {
  return std::max<Tokens>(10, std::chrono::minutes(10) / configured_.window);
}

Tokens Budget::most_in_debt(Meter meter) const {
  return std::max<Tokens>(1, *configured_.limit(meter)) * windows_of_debt_max();
}

Tokens Budget::later(Meter meter, const Cost& cost) {
  switch (meter) {
    case Meter::requests:
      return 0;
    case Meter::tokens:
      return cost.later_input + cost.later_output;
    case Meter::input:
      return cost.later_input;
    default:
      return cost.later_output;
  }
}

Tokens Budget::expected(Meter meter, const Cost& cost) {
  if (meter == Meter::requests_day || meter == Meter::in_flight) return 1;
  if (meter == Meter::tokens_day) meter = Meter::tokens;
  return on_arrival(meter, cost) + later(meter, cost);
}

// What those ahead are made of is not known but in sum: they are taken for as the call itself is. Where that is a
// guess, it does not count as knowledge; what is known of them is charged on arrival.
Passing Budget::passing_ahead(Meter meter, const Ahead& ahead, const Cost& cost, Basis basis) {
  if (meter == Meter::requests) return ahead.requests;
  if (ahead.tokens == 0) return 0;
  const Tokens arrival = on_arrival(meter, cost);
  if (basis == Basis::knowledge) return arrival == cost.tokens ? ahead.tokens : 0;
  const auto part = [&](Tokens tokens) -> Tokens {
    const Tokens all = cost.expected_size();
    if (tokens == all) return ahead.tokens;
    return static_cast<Tokens>(static_cast<double>(ahead.tokens) * static_cast<double>(tokens) /
                               static_cast<double>(all));
  };
  if (meter == Meter::tokens) return {ahead.tokens, part(arrival)};
  return {part(arrival + later(meter, cost)), part(arrival)};
}

Blocked Budget::predict(const Ahead& ahead, const Cost& cost, Instant now, Basis basis) const {
  const Tokens requests = ahead.requests + 1;
  Blocked last{Meter::requests, now};
  const auto consider = [&](Meter meter, const Room& room) {
    if (room.when > last.when) last = {meter, room.when, room.by, expected(meter, cost)};
  };
  for (const Meter meter : window_meters) {
    if (!limits_.limit(meter)) continue;
    const Tokens arrival = on_arrival(meter, cost);
    const Passing own{arrival + (basis == Basis::guesses ? later(meter, cost) : 0), arrival};
    consider(meter, window(meter).room(passing_ahead(meter, ahead, cost, basis), own, now, basis));
  }
  const auto consider_slots = [&](Tokens limit, Instant soonest) {
    if (in_flight_ + requests <= limit) return;
    const bool known = held_ > Duration::zero();
    if (!known && basis == Basis::knowledge) return;
    const Duration held = known ? held_ : std::chrono::seconds(1);
    consider(Meter::in_flight,
             {std::min(soonest, now + held * (in_flight_ + requests - limit) / std::max<Tokens>(1, limit))});
  };
  if (const auto limit = limits_.limit(Meter::in_flight)) consider_slots(*limit, never);
  if (const auto cap = cap_.limit(slots_taken(), now))
    consider_slots(*cap, cap_.ramped_to(in_flight_, requests, now).value_or(never));
  if (const auto day = requests_day_.predict(ahead.requests, 1, basis)) consider(Meter::requests_day, {*day});
  if (const auto day = tokens_day_.predict(ahead.tokens, cost.expected_size(), basis))
    consider(Meter::tokens_day, {*day});
  return last;
}

std::optional<Blocked> Budget::day_over(const Cost& cost) const {
  const auto over = [&](Meter meter, Instant next) {
    return Blocked{meter, next, Hold::window, expected(meter, cost)};
  };
  if (const auto next = requests_day_.predict(0, 1, Basis::knowledge)) return over(Meter::requests_day, *next);
  if (const auto next = tokens_day_.predict(0, cost.expected_size(), Basis::knowledge))
    return over(Meter::tokens_day, *next);
  return std::nullopt;
}

void Budget::admit(const Cost& cost) {
  ++in_flight_;
  cap_.admitted();
  for (const Meter meter : window_meters) window(meter).reserve(on_arrival(meter, cost));
  requests_day_.reserve(1);
  tokens_day_.reserve(cost.tokens);
}

void Budget::give_up(const Cost& cost) {
  --in_flight_;
  for (const Meter meter : window_meters) window(meter).release(on_arrival(meter, cost));
  requests_day_.release(1);
  tokens_day_.release(cost.tokens);
}

void Budget::send(const Cost& cost, Instant now) {
  for (const Meter meter : window_meters) {
    window(meter).send(on_arrival(meter, cost), now);
    heed_change_of(window(meter));
  }
  requests_day_.release(1);
  requests_day_.charge(1, now);
  tokens_day_.release(cost.tokens);
  tokens_day_.charge(cost.tokens, now);
}

void Budget::unsend(const Cost& cost, Instant sent_at, Instant now) {
  next_change_ = Instant::min();
  for (const Meter meter : window_meters) window(meter).unsend(on_arrival(meter, cost), sent_at, now);
  requests_day_.correct(sent_at, -1);
  requests_day_.reserve(1);
  tokens_day_.correct(sent_at, -cost.tokens);
  tokens_day_.reserve(cost.tokens);
}

void Budget::finish(Duration held) {
  --in_flight_;
  held_ = held_ == Duration::zero() ? held : held_ + (held - held_) / 8;
}

void Budget::cut_off(Duration held, Instant now) {
  finish(held);
  if (limits_.limit(Meter::in_flight) || cap_.any()) closing_.push_back(now + limits_.guard);
  next_change_ = Instant::min();
}

// Meters without a limit need no forecast.
template <typename Each>
void Budget::each_limited(const Expectation& expectation, Each each) {
  for (const Meter meter : window_meters) {
    if (!limits_.limit(meter)) continue;
    if (const auto outlook = later_of(meter, expectation)) each(window(meter), *outlook);
  }
}

void Budget::plan(const Expectation& expectation, Spread& spread) {
  each_limited(expectation, [&](WindowMeter& meter, const Outlook& outlook) { meter.plan(outlook, spread); });
  tokens_day_.plan(expectation.input + expectation.output.amount);
}

void Budget::unplan(const Expectation& expectation, Spread& spread) {
  each_limited(expectation, [&](WindowMeter& meter, const Outlook& outlook) { meter.unplan(outlook, spread); });
  tokens_day_.unplan(expectation.input + expectation.output.amount);
}

void Budget::charge(Tokens input, Tokens output, Instant now) {
  const auto charge_one = [&](Meter meter, Tokens amount) {
    window(meter).charge(amount, now);
    heed_change_of(window(meter));
  };
  charge_one(Meter::tokens, input + output);
  charge_one(Meter::input, input);
  charge_one(Meter::output, output);
  tokens_day_.charge(input + output, now);
}

void Budget::correct(Instant sent_at, Tokens tokens, Tokens input, Instant now) {
  const auto correct_one = [&](Meter meter, Tokens difference) {
    window(meter).correct(sent_at, difference, now);
    heed_change_of(window(meter));
  };
  correct_one(Meter::tokens, tokens);
  correct_one(Meter::input, input);
  tokens_day_.correct(sent_at, tokens);
}

void Budget::forgive(const Cost& cost, Instant sent_at) {
  for (const Meter meter : window_meters) window(meter).forgive(on_arrival(meter, cost), sent_at);
  const auto day = limits_.limit(Meter::tokens_day);
  if (day && cost.tokens > *day) tokens_day_.correct(sent_at, -cost.tokens);
  next_change_ = Instant::min();
}

Tokens Budget::at_most_a_window(Tokens output) const {
  Tokens most = 0;
  for (const Meter meter : {Meter::tokens, Meter::output}) most = std::max(most, limits_.limit(meter).value_or(0));
  return std::min(output, most);
}

void Budget::uncount(Instant sent_at, Instant now) {
  window(Meter::requests).correct(sent_at, -1, now);
  requests_day_.correct(sent_at, -1);
}

void Budget::assume_spent(Instant until, Instant now) {
  until = std::min(until, now + limits_.window);
  for (WindowMeter& each : windows_) each.assume_spent(until);
  next_change_ = Instant::min();
}

void Budget::note_used_by_others(Meter meter, Tokens tokens, Tokens per_window, Instant now) {
  if (index_of(meter) < windows && tokens > 0) window(meter).charge_evenly(tokens, per_window, now);
  next_change_ = Instant::min();
}

bool Budget::idle() const {
  return slots_taken() == 0 &&
         std::all_of(windows_.begin(), windows_.end(), [](const WindowMeter& each) { return each.idle(); });
}

MeterView Budget::view(Meter meter, Instant now) const {
  MeterView view;
  view.limit = limits_.limit(meter);
  if (meter == Meter::in_flight) {
    view.used = slots_taken();
    if (const auto cap = cap_.limit(view.used, now)) view.limit = view.limit ? std::min(*view.limit, *cap) : *cap;
  } else if (meter == Meter::requests_day || meter == Meter::tokens_day) {
    const DayMeter& day = meter == Meter::requests_day ? requests_day_ : tokens_day_;
    view.used = day.used();
    view.reserved = day.reserved();
    if (day.resets() != never) view.full_in = std::max(Duration::zero(), day.resets() - now);
    if (view.limit) view.debt = std::max<Tokens>(0, view.used - *view.limit);
  } else {
    const WindowMeter& one = window(meter);
    view.used = one.used();
    view.reserved = one.reserved();
    view.debt = one.debt();
    if (view.used > 0 && one.empty_at() > now) view.full_in = one.empty_at() - now;
  }
  return view;
}

std::vector<Budget::Charge> Budget::charges(Instant now) const {
  std::vector<Charge> list;
  for (const Meter meter : window_meters) {
    for (const WindowLog::Entry& entry : window(meter).log().entries()) {
      if (entry.amount > 0) list.push_back({meter, entry.leaves - now, entry.amount});
    }
    for (const Debts::Debt& debt : window(meter).debts().all())
      list.push_back({meter, debt.due - now, debt.rest, true});
    // What is on its way counts as if it were sent now.
    if (const Tokens open = window(meter).reserved(); open > 0)
      list.push_back({meter, limits_.window + limits_.guard, open});
  }
  for (const Meter meter : {Meter::requests_day, Meter::tokens_day}) {
    const DayMeter& day = meter == Meter::requests_day ? requests_day_ : tokens_day_;
    const Duration left = day.resets() == never ? Duration::max() : day.resets() - now;
    if (day.used() + day.reserved() > 0) list.push_back({meter, left, day.used() + day.reserved()});
  }
  return list;
}

void Budget::restore(const Charge& charge, Instant now) {
  if (charge.debt) {
    if (index_of(charge.meter) < windows) window(charge.meter).restore_debt(now + charge.leaves_in, charge.amount);
    next_change_ = Instant::min();
    return;
  }
  if (charge.leaves_in <= Duration::zero()) return;
  if (charge.meter == Meter::requests_day) return requests_day_.charge(charge.amount, now);
  if (charge.meter == Meter::tokens_day) return tokens_day_.charge(charge.amount, now);
  if (index_of(charge.meter) >= windows) return;
  next_change_ = Instant::min();
  const Duration left = std::min(charge.leaves_in, limits_.window + limits_.guard);
  window(charge.meter).restore(now + left, charge.amount);
}

}  // namespace weir::admission
