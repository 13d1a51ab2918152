// What upstreams say of their limits, and what they turn away: it tightens the budgets, and expires.
#include "admission/scheduler.hpp"

#include <algorithm>
#include <cassert>

namespace weir::admission {

// Changes limits with all that is expected of running calls taken out of the budgets meanwhile.
void Scheduler::change_limits(const std::function<void()>& change, Instant now) {
  for (const auto& call : calls_) {
    if (call->runs()) unplan(*call);
  }
  change();
  for (const auto& call : calls_) {
    if (!call->runs()) continue;
    forecast(*call, now);
    plan(*call, now);
  }
}

Scheduler::Place& Scheduler::upstream_place(const Submission& submission, Scope scope) {
  const bool model = scope == Scope::model && submission.model != no_budget;
  return place(model ? submission.model : submission.account);
}

void Scheduler::hear(Ticket ticket, Scope scope, const SaidOfMeter& said, Instant now) {
  now_ = std::max(now_, now);
  const Call& call = call_of(ticket);
  assert(call.state == Call::State::sent);
  Place& at = upstream_place(call.submission, scope);
  at.budget.advance(now);
  // What is no tighter than the limit of the whole account is nothing new about its model either.
  const auto whole = place(call.submission.account).budget.configured().limit(said.meter);
  if (said.limit && at.budget.note_limit(said, whole, limits_.learn, now)) {
    change_limits([&] { at.budget.apply_learned(now); }, now);
    at.budget.advance(now);
    learned_expires_ = std::min(learned_expires_, at.budget.learned().next_expiry());
    mark_with_accounts(at);
  }
  if (!said.used || !limits_.learn.enabled) return;
  // A model without a limit of its own here is limited by the account's.
  Place& ledger = at.budget.limits().limit(said.meter) ? at : place(call.submission.account);
  believe_use(ledger.budget, said, now - call.sent_at, now);
}

// Room that the upstream does not have is used by others. What it showed was true when the call came there; since then
// some has come back.
void Scheduler::believe_use(Budget& budget, const SaidOfMeter& said, Duration age, Instant now) {
  budget.advance(now);
  const Duration window = budget.limits().window;
  const MeterView ours = budget.view(said.meter, now);
  if (!ours.limit || age > window / 30) return;
  const Tokens whole = said.limit.value_or(*ours.limit);
  const Tokens back = static_cast<Tokens>(static_cast<double>(whole) * std::chrono::duration<double>(age).count() /
                                          std::chrono::duration<double>(window).count());
  const Tokens room = whole - *said.used + back;
  const Tokens beyond = std::min(whole, *ours.limit - ours.used - ours.reserved - room);
  if (beyond * 50 > *ours.limit) budget.note_used_by_others(said.meter, beyond, whole, now);
}

void Scheduler::turned_away(Ticket ticket, Scope scope, const Crowding& crowding, Instant now) {
  now_ = std::max(now_, now);
  const Call& call = call_of(ticket);
  assert(call.state == Call::State::sent);
  Place& at = upstream_place(call.submission, scope);
  at.budget.advance(now);
  const Tokens in_flight = at.budget.slots_taken();
  ConcurrencyCap& cap = at.budget.cap();
  if (crowding.kind == Crowding::Kind::too_steep) {
    cap.too_steep(in_flight, call.admitted_at, limits_.learn, now);
  } else if (crowding.allowed && *crowding.allowed < in_flight) {
    cap.told(*crowding.allowed, limits_.learn, now);
  } else {
    // Others use the account too: what is left of the number it said is found by trying.
    cap.turned_away(in_flight, call.admitted_at, now - call.sent_at, limits_.learn, now);
  }
}

void Scheduler::expire_learned(Instant now) {
  learned_expires_ = never;
  for (Place& each : budgets_) {
    if (each.budget.expire_learned(now)) {
      change_limits([&] { each.budget.apply_learned(now); }, now);
      mark(each);
    }
    learned_expires_ = std::min(learned_expires_, each.budget.learned().next_expiry());
  }
}

std::vector<LearnedView> Scheduler::learned(BudgetId id, Instant now) const {
  const Budget& budget = budgets_[id].budget;
  std::vector<LearnedView> all;
  for (const Meter meter : {Meter::requests, Meter::tokens, Meter::input, Meter::output}) {
    if (const auto& held = budget.learned().of(meter); held && held->until > now) all.push_back({meter, *held});
  }
  const ConcurrencyCap& cap = budget.cap();
  if (cap.learned(now)) {
    const LearnedLimit held{*cap.limit(0, now), cap.source(), cap.learned_at(), cap.until()};
    all.push_back({Meter::in_flight, held});
  }
  return all;
}

}  // namespace weir::admission
