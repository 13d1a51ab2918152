// The books, counted again from the calls.
#include "admission/scheduler.hpp"

#include <map>
#include <string>

namespace weir::admission {

std::string Scheduler::verify(Instant now) {
  struct Sum {
    Tokens in_flight = 0, tokens = 0, requests = 0, calls = 0, guessed = 0;
  };
  std::vector<Sum> sums(budgets_.size());
  std::map<const SubLane*, std::uint32_t> runs;
  std::size_t waiting = 0, running = 0, bytes = 0;
  for (const auto& each_call : calls_) {
    Call& call = *each_call;
    const bool waits = call.state == Call::State::timed || call.state == Call::State::queued;
    waiting += waits;
    if (const BudgetId model = call.submission.model; model != no_budget) ++sums[model].calls;
    bytes += waits ? call.submission.bytes : 0;
    if (call.state == Call::State::queued) {
      const Submission& s = call.submission;
      sums[s.account].guessed += s.own.guessed_size() + s.upstream.guessed_size();
    }
    if (!call.runs()) continue;
    ++running;
    ++runs[call.served_by];
    each_budget(call, [&](Place& each, const Cost& cost, const Expectation& plan) {
      Sum& sum = sums[each.id];
      ++sum.in_flight;
      if (call.state == Call::State::admitted) {
        sum.tokens += cost.tokens;
        ++sum.requests;
      }
      if (each.budget.limits().limit(Meter::tokens)) sum.tokens += plan.input + plan.output.amount;
    });
  }
  std::string wrong;
  const auto agree = [&](const std::string& what, Tokens counted, Tokens kept) {
    if (counted != kept)
      wrong += what + ": counted " + std::to_string(counted) + ", kept " + std::to_string(kept) + "\n";
  };
  agree("waiting", static_cast<Tokens>(waiting), static_cast<Tokens>(queued_));
  agree("bytes", static_cast<Tokens>(bytes), static_cast<Tokens>(queued_bytes_));
  agree("running", static_cast<Tokens>(running), static_cast<Tokens>(running_));
  for (const auto& [sub, count] : runs) agree(sub->name + " runs", count, sub->running);
  for (Place& each : budgets_) {
    const std::string name = each.budget.limits().name;
    each.budget.advance(now);
    const Sum& sum = sums[each.id];
    agree(name + " calls", sum.calls, each.calls);
    agree(name + " in flight", sum.in_flight, each.budget.in_flight());
    agree(name + " tokens reserved", sum.tokens, each.budget.view(Meter::tokens, now).reserved);
    agree(name + " guessed of those who wait", sum.guessed, each.own_guessed + each.upstream_guessed);
    agree(name + " requests reserved", sum.requests, each.budget.view(Meter::requests, now).reserved);
    if (!each.queue) continue;
    Tokens lanes = 0, empty = 0, ageing = 0, classes = 0;
    each.queue->each_lane([&](const Lane& lane) {
      lanes += !lane.empty() && !lane.in;
      empty += lane.empty();
      const bool can_age = !lane.empty() && lane.share->priority > Priority::interactive;
      ageing += can_age != (lane.age_place != not_in_heap);
      if (lane.empty()) return;
      // When its head has aged to the class it stands in, and to the next one.
      const auto steps = static_cast<std::int64_t>(lane.priority) - static_cast<std::int64_t>(lane.share->priority);
      const Instant aged = lane.head().arrived + steps * limits_.age_step;
      classes += steps > 0 && aged > now_;
      classes += can_age && lane.ages_at != aged + limits_.age_step;
    });
    agree(name + " lanes in no order", lanes, 0);
    agree(name + " lanes that nobody waits in", empty, 0);
    agree(name + " lanes that do not age", ageing, 0);
    agree(name + " lanes in a class that their heads have not aged to", classes, 0);
    wrong += each.queue->verify();
  }
  return wrong;
}

}  // namespace weir::admission
