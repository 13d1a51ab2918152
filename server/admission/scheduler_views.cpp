// For those who look on: what a call has to wait for, who waits, what budgets hold.
#include "admission/scheduler.hpp"

#include <algorithm>
#include <utility>

namespace weir::admission {

Rejection Scheduler::predict(const Call& call, const FairQueue::Ahead& ahead, Instant now, Basis basis) {
  const Submission& s = call.submission;
  const Place& account = place(s.account);
  Rejection prediction;
  prediction.room_at = now;
  each_budget(call, [&](Place& each, const Cost& cost, const Expectation&) {
    const Amount& before = each.id == s.key     ? ahead.key
                           : each.id == s.team  ? ahead.team
                           : each.id == s.model ? ahead.model
                                                : ahead.account;
    const bool own = &cost == &s.own;
    Tokens tokens = own ? before.tokens : before.upstream;
    // Which of those who wait are ahead is known in sum only: what is guessed of all of them may be theirs.
    if (basis == Basis::knowledge)
      tokens = std::max<Tokens>(0, tokens - (own ? account.own_guessed : account.upstream_guessed));
    prediction.requests_ahead = std::max(prediction.requests_ahead, before.requests);
    each.budget.advance(now);
    Blocked last = each.budget.predict({before.requests, tokens}, cost, now, basis);
    last.when = std::max({last.when, each.paused_until, each.breaker.open_until()});
    if (last.when <= prediction.room_at) return;
    prediction.room_at = last.when;
    prediction.budget = each.id;
    prediction.meter = last.meter;
    prediction.by = last.by;
    prediction.needs = last.needs;
  });
  return prediction;
}

bool Scheduler::all_breakers_closed() const {
  return std::all_of(budgets_.begin(), budgets_.end(),
                     [&](const Place& each) { return each.breaker.state(now_) == Breaker::State::closed; });
}

Instant Scheduler::left_alone_until(BudgetId budget) const {
  const Place& at = budgets_[budget];
  return std::max(at.paused_until, at.breaker.open_until());
}

Instant Scheduler::predicted_start(const Submission& submission, Instant now) {
  now_ = std::max(now_, now);
  Call call;
  call.submission = submission;
  const Amount& all = queue_of(call).queued();
  return predict(call, {all, all, all, all}, now).room_at;
}

WaitingView Scheduler::view_of(const Call& call, Instant now) {
  const Submission& s = call.submission;
  WaitingView view{call.ticket, s.key,        s.account, s.model,         s.sub_lane, s.priority,
                   1,           s.not_before, no_budget, Meter::requests, s.arrived,  s.bytes};
  if (call.state == Call::State::queued) {
    view.sub_lane = call.line->sub->name;
    const Rejection prediction = predict(call, now);
    view.position = prediction.requests_ahead + 1;
    view.starts_at = prediction.room_at;
    view.blocked_on = prediction.budget;
    view.meter = prediction.meter;
    view.by = prediction.by;
    view.needs = prediction.needs;
  }
  return view;
}

std::optional<WaitingView> Scheduler::place_of(Ticket ticket, Instant now) {
  const Call& call = call_of(ticket);
  if (call.state != Call::State::queued && call.state != Call::State::timed) return std::nullopt;
  return view_of(call, now);
}

std::vector<WaitingView> Scheduler::waiting(Instant now, std::size_t at_most) {
  // The lines of all accounts side by side, by where their first calls stand in virtual time; only those calls that
  // come first are looked at closely.
  struct Next {
    Tag tag;
    const Waiting* call;
    std::int64_t weight;
    bool operator<(const Next& other) const {  // for a heap: the first is the largest
      return tag != other.tag ? tag > other.tag : call->sequence > other.call->sequence;
    }
  };
  std::vector<Next> lines;
  for (Place* account : accounts_) {
    for (const Lane* lane : account->queue->waiting_lanes()) {
      const Share& share = *lane->share;
      const auto [tag, weight] =
          share.group ? std::pair(share.group->tag, share.group->weight) : std::pair(share.tag, share.of->weight);
      for (const auto& [turn, line] : lane->ready.nodes()) lines.push_back({tag, &line->calls.first(), weight});
    }
  }
  std::make_heap(lines.begin(), lines.end());
  std::vector<const Call*> first;
  while (!lines.empty() && first.size() < at_most) {
    std::pop_heap(lines.begin(), lines.end());
    Next& next = lines.back();
    first.push_back(static_cast<const Call*>(next.call));
    next.tag += next.call->size * tag_scale / next.weight;
    next.call = Arrivals::next(*next.call);
    if (next.call) {
      std::push_heap(lines.begin(), lines.end());
    } else {
      lines.pop_back();
    }
  }
  std::vector<const Call*> later;
  for (const auto& [start, timed] : starts_.nodes()) later.push_back(timed->call);
  const std::size_t rest = std::min(at_most - first.size(), later.size());
  std::partial_sort(later.begin(), later.begin() + static_cast<std::ptrdiff_t>(rest), later.end(),
                    [](const Call* a, const Call* b) { return a->sequence < b->sequence; });
  first.insert(first.end(), later.begin(), later.begin() + static_cast<std::ptrdiff_t>(rest));
  std::vector<WaitingView> views;
  views.reserve(first.size());
  for (const Call* call : first) views.push_back(view_of(*call, now));
  std::stable_sort(views.begin(), views.end(), [](const WaitingView& a, const WaitingView& b) {
    return a.account != b.account ? a.account < b.account : a.position < b.position;
  });
  return views;
}

MeterView Scheduler::view(BudgetId budget, Meter meter, Instant now) {
  place(budget).budget.advance(now);
  return place(budget).budget.view(meter, now);
}

const BudgetLimits& Scheduler::limits_of(BudgetId budget) const {
  return budgets_[budget].budget.limits();
}

}  // namespace weir::admission
