// For those who look on: what a call has to wait for, who waits, what budgets hold.
#include "admission/scheduler.hpp"

#include <algorithm>
#include <limits>
#include <utility>

namespace weir::admission {

Rejection Scheduler::predict(const Call& call, const FairQueue::Ahead& ahead, Instant now, Budget::Basis basis) {
  const Submission& s = call.submission;
  Rejection prediction;
  prediction.room_at = now;
  each_budget(call, [&](Place& each, const Cost& cost, const Expectation&) {
    const Amount& before = each.id == s.key     ? ahead.key
                           : each.id == s.team  ? ahead.team
                           : each.id == s.model ? ahead.model
                                                : ahead.account;
    const Tokens tokens = (&cost == &s.own ? before.tokens : before.upstream) + expected_size(cost);
    prediction.requests_ahead = std::max(prediction.requests_ahead, before.requests);
    each.budget.advance(now);
    Blocked last = each.budget.predict(before.requests + 1, tokens, now, basis);
    last.when = std::max({last.when, each.paused_until, each.breaker.open_until()});
    if (last.when <= prediction.room_at) return;
    prediction.room_at = last.when;
    prediction.budget = each.id;
    prediction.meter = last.meter;
  });
  return prediction;
}

bool Scheduler::all_breakers_closed() const {
  return std::all_of(budgets_.begin(), budgets_.end(),
                     [&](const Place& each) { return each.breaker.state(now_) == Breaker::State::closed; });
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
  }
  return view;
}

std::optional<WaitingView> Scheduler::place_of(Ticket ticket, Instant now) {
  const Call& call = call_of(ticket);
  if (call.state != Call::State::queued && call.state != Call::State::timed) return std::nullopt;
  return view_of(call, now);
}

std::vector<WaitingView> Scheduler::waiting(Instant now, std::size_t at_most) {
  // Where a call stands in virtual time tells which are the first; only those are looked at closely.
  std::vector<std::pair<Tag, const Call*>> order;
  for (const auto& call : calls_) {
    if (call->state == Call::State::timed) order.emplace_back(std::numeric_limits<Tag>::max(), call.get());
    if (call->state != Call::State::queued) continue;
    const Share& share = *call->line->lane->share;
    const auto [tag, weight] =
        share.group ? std::pair(share.group->tag, share.group->weight) : std::pair(share.tag, share.of->weight);
    order.emplace_back(tag + call->line->calls.before(*call).tokens * tag_scale / weight, call.get());
  }
  const std::size_t count = std::min(at_most, order.size());
  std::partial_sort(order.begin(), order.begin() + static_cast<std::ptrdiff_t>(count), order.end(),
                    [](const auto& a, const auto& b) {
                      return a.first != b.first ? a.first < b.first : a.second->sequence < b.second->sequence;
                    });
  std::vector<WaitingView> views;
  views.reserve(count);
  for (std::size_t i = 0; i < count; ++i) views.push_back(view_of(*order[i].second, now));
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
