// The admitted: what is expected of them, what they use, how they end.
#include "admission/scheduler.hpp"

#include <algorithm>
#include <cassert>

namespace weir::admission {
namespace {

// What is still to come of an answer of which `produced` tokens have come.
Tokens expected_rest(const Cost& cost, const OutputPace& pace, Tokens produced) {
  if (cost.lump) return std::max<Tokens>(0, cost.later_output - produced);
  Tokens rest = std::max({cost.later_output + produced * pace.tail / 16, cost.later_output / 16, Tokens{1}});
  if (cost.output_max > 0) rest = std::min(rest, std::max<Tokens>(0, cost.output_max - produced));
  return rest;
}

// What is expected of a call, from `now` on. `from`: when it was, or could be, sent.
Expectation expectation_of(const Cost& cost, const OutputPace& pace, Tokens produced, Instant from,
                           Instant first_output, Instant now) {
  Expectation expectation;
  if (cost.later == LaterCharge::none) return expectation;
  Tokens per_second = std::max<Tokens>(1, pace.per_second);
  const auto running_ms = std::chrono::duration_cast<std::chrono::milliseconds>(now - first_output).count();
  if (produced > 0 && running_ms >= 500) per_second = std::max<Tokens>(1, produced * 1000 / running_ms);
  Outlook& output = expectation.output;
  output.planned_at = now;
  output.amount = expected_rest(cost, pace, produced);
  output.lump = cost.lump;
  output.begin = produced > 0 ? now : std::max(now, from + pace.first_after);
  output.end = output.begin + std::chrono::milliseconds(output.amount * 1000 / per_second);
  if (cost.later == LaterCharge::at_end) {
    expectation.input = cost.later_input;
    output.amount += produced;
    output.begin = output.end;
  }
  return expectation;
}

// A call that is sent so soon after its admission keeps what was planned for it then: forecasts are not that exact.
constexpr std::chrono::milliseconds plan_good_for{1};

// What an upstream says is not to be trusted with the books: more of the input cached than there was would be paid for
// by others.
Usage plausible(Usage usage) {
  usage.input = std::clamp<Tokens>(usage.input, 0, tokens_of_call_max);
  usage.cached = std::clamp<Tokens>(usage.cached, 0, usage.input);
  usage.output = std::clamp<Tokens>(usage.output, 0, tokens_of_call_max);
  return usage;
}

}  // namespace

// What is expected of a call from now on.
void Scheduler::forecast(Call& call, Instant now) {
  const Submission& s = call.submission;
  const Instant from = call.state == Call::State::sent ? call.sent_at : now;
  call.own_plan = expectation_of(s.own, s.pace, call.produced, from, call.first_output_at, now);
  call.upstream_plan = expectation_of(s.upstream, s.pace, call.produced, from, call.first_output_at, now);
}

// Enters it in the budgets.
void Scheduler::plan(Call& call, Instant now) {
  each_budget(call, [&](Place& each, const Cost&, const Expectation& expectation) {
    each.budget.advance(now);
    each.budget.plan(expectation, spread_of(call, expectation));
  });
}

void Scheduler::unplan(Call& call) {
  each_budget(call, [&](Place& each, const Cost&, const Expectation& expectation) {
    each.budget.unplan(expectation, spread_of(call, expectation));
  });
  call.own_plan = call.upstream_plan = {};
}

void Scheduler::give_up(Call& call, Instant now) {
  unplan(call);
  --running_;
  each_budget(call, [&](Place& each, const Cost& cost, const Expectation&) {
    each.budget.advance(now);
    each.budget.give_up(cost);
  });
  came_to_nothing(call);
  settle_turn(call, -call.size);
  mark_budgets_of(call);
}

void Scheduler::sent(Ticket ticket, Instant now) {
  now_ = std::max(now_, now);
  Call& call = call_of(ticket);
  assert(call.state == Call::State::admitted);
  const bool plan_anew = now - call.admitted_at > plan_good_for;
  if (plan_anew) unplan(call);
  call.state = Call::State::sent;
  call.sent_at = now;
  each_budget(call, [&](Place& each, const Cost& cost, const Expectation&) {
    each.budget.advance(now);
    each.budget.send(cost, now);
  });
  if (!plan_anew) return;
  forecast(call, now);
  plan(call, now);
}

void Scheduler::unsent(Ticket ticket, Instant now) {
  now_ = std::max(now_, now);
  Call& call = call_of(ticket);
  assert(call.state == Call::State::sent && call.produced == 0);
  unplan(call);
  call.state = Call::State::admitted;
  each_budget(call, [&](Place& each, const Cost& cost, const Expectation&) {
    each.budget.advance(now);
    each.budget.unsend(cost, call.sent_at, now);
  });
  forecast(call, now);
  plan(call, now);
}

void Scheduler::taken_in(Ticket ticket, Instant now) {
  now_ = std::max(now_, now);
  Call& call = call_of(ticket);
  assert(call.state == Call::State::sent);
  if (call.taken_in) return;
  call.taken_in = true;
  each_budget(call, [&](Place& each, const Cost&, const Expectation&) {
    each.served_at = std::max(each.served_at, call.sent_at);
    if (each.breaker.state(now) == Breaker::State::closed) return;
    each.breaker.taken_in(call.admitted_at);
    mark(each);
  });
}

void Scheduler::came_to_nothing(Call& call) {
  if (call.taken_in) return;
  each_budget(call,
              [&](Place& each, const Cost&, const Expectation&) { each.breaker.came_to_nothing(call.admitted_at); });
}

void Scheduler::progress(Ticket ticket, Tokens produced, Instant now) {
  now_ = std::max(now_, now);
  Call& call = call_of(ticket);
  assert(call.state == Call::State::sent);
  produced = std::min(produced, tokens_of_call_max);
  const Tokens more = produced - call.produced;
  if (more <= 0) return;
  unplan(call);
  if (call.produced == 0) call.first_output_at = now;
  call.produced = produced;
  each_budget(call, [&](Place& each, const Cost& cost, const Expectation&) {
    each.served_at = std::max(each.served_at, call.sent_at);
    each.budget.advance(now);
    if (cost.later == LaterCharge::as_produced) each.budget.charge(0, more, now);
  });
  forecast(call, now);
  plan(call, now);
}

void Scheduler::measured(Ticket ticket, Tokens input, Tokens cached, Instant now) {
  now_ = std::max(now_, now);
  Call& call = call_of(ticket);
  assert(call.state == Call::State::sent);
  Submission& s = call.submission;
  const Usage said = plausible({true, input, cached, 0});
  const auto counted = [&](const Cost& cost) {
    const bool corrects = cost.corrects && cost.later != LaterCharge::at_end;
    return corrects ? said.input - (cost.cached_input_free ? said.cached : 0) : cost.input;
  };
  if (counted(s.own) == s.own.input && counted(s.upstream) == s.upstream.input) return;
  each_budget(call, [&](Place& each, const Cost& cost, const Expectation&) {
    const Tokens difference = counted(cost) - cost.input;
    each.budget.advance(now);
    if (difference != 0) each.budget.correct(call.sent_at, difference, difference, now);
  });
  s.own.input = counted(s.own);
  s.upstream.input = counted(s.upstream);
  mark_budgets_of(call);
}

void Scheduler::settle(Ticket ticket, const Usage& said, Ending ending, Instant now) {
  now_ = std::max(now_, now);
  Call& call = call_of(ticket);
  if (call.state != Call::State::sent) return withdraw(ticket, now);
  const Submission& s = call.submission;
  const Usage usage = plausible(said);
  unplan(call);
  Tokens fair_size = 0;
  each_budget(call, [&](Place& each, const Cost& cost, const Expectation&) {
    Budget& budget = each.budget;
    budget.advance(now);
    Tokens input = cost.later == LaterCharge::at_end ? cost.later_input : cost.input;
    Tokens output = std::max(call.produced, cost.later_output);
    if (ending == Ending::refused) input = output = 0;
    if (usage.known) {
      input = usage.input - (cost.cached_input_free ? usage.cached : 0);
      output = usage.output;
    }
    // The turn of the key goes by what was likely used; what the worst would be is for the limits only.
    if (each.id == s.key) fair_size = input + output;
    if (ending == Ending::lost && !usage.known) output = std::max(output, budget.at_most_a_window(cost.output_max));
    if (cost.later == LaterCharge::at_end) {
      budget.charge(input, output, now);
    } else {
      if (cost.corrects && input != cost.input)
        budget.correct(call.sent_at, input - cost.input, input - cost.input, now);
      if (cost.later == LaterCharge::as_produced && output > call.produced)
        budget.charge(0, output - call.produced, now);
    }
    if (ending == Ending::refused) {
      if (!cost.corrects) budget.forgive(cost, call.sent_at);
      if (&cost == &s.own) budget.uncount(call.sent_at, now);
    }
    if (ending == Ending::complete) each.served_at = std::max(each.served_at, call.sent_at);
    const bool ours = ending == Ending::cut_off || ending == Ending::lost;
    if (ours && &cost == &s.upstream) {
      budget.cut_off(now - call.admitted_at, now);
    } else {
      budget.finish(now - call.admitted_at);
    }
  });
  --running_;
  came_to_nothing(call);
  settle_turn(call, fair_size - call.size);
  mark_budgets_of(call);
  free_call(call);
}

}  // namespace weir::admission
