// What changes the budgets from outside: an upstream's own word, new settings, a state from before.
#include "admission/scheduler.hpp"

#include <algorithm>
#include <utility>

namespace weir::admission {

void Scheduler::observe(const UpstreamReport& report, Instant now, Rng& rng) {
  now_ = std::max(now_, now);
  Place& at = place(report.budget);
  at.budget.advance(now);
  if (report.pause_until) {
    Instant until = *report.pause_until;
    if (report.jitter > Duration::zero())
      until += Duration(static_cast<Duration::rep>(rng() % static_cast<std::uint64_t>(report.jitter.count())));
    open_or_pause(at, report, until, now);
  }
  mark_with_accounts(at);
}

void Scheduler::open_or_pause(Place& at, const UpstreamReport& report, Instant until, Instant now) {
  using Afterwards = UpstreamReport::Afterwards;
  // Calls that were on their way together are turned away together: the first decides.
  const bool paused = now < at.paused_until;
  const bool serves = paused || at.served_at > at.turned_away_at;
  if (!paused) at.turned_away_at = now;
  const bool one_first =
      report.afterwards == Afterwards::one_first || (report.afterwards == Afterwards::all_if_it_serves && !serves);
  if (one_first) {
    at.breaker.open(until);
  } else {
    at.paused_until = std::max(at.paused_until, until);
  }
}

void Scheduler::reconfigure(Limits limits, Instant now) {
  now_ = std::max(now_, now);
  std::vector<BudgetLimits> wanted = std::move(limits.budgets);
  limits.budgets.clear();
  limits_ = std::move(limits);
  const auto configure = [&] {
    std::vector<bool> named(budgets_.size(), false);
    for (Place& each : budgets_) {
      if (!limits_.learn.enabled) each.budget.forget_learned();
    }
    for (BudgetLimits& each : wanted) {
      const BudgetId id = budget(each.scope, each.name);
      if (id < named.size()) named[id] = true;
      keep(place(id));
      place(id).budget.configure(std::move(each), now);
    }
    // Who waits for what is gone now, or comes back to it, keeps the limits it began with.
    std::vector<bool> kept(named.size(), false);
    const auto keep_all = [&](const Submission& s) {
      for (const BudgetId id : {s.key, s.team, s.account, s.model}) {
        if (id >= kept.size()) continue;
        if (id == s.model && s.account < named.size() && named[s.account]) continue;
        const BudgetId like = place(id).like;
        kept[like != no_budget ? like : id] = place(id).of_account == no_budget;
      }
    };
    for (const auto& call : calls_) {
      if (call->state != Call::State::free) keep_all(call->submission);
    }
    for (BudgetId id = 0; id < named.size(); ++id) {
      if (named[id] || kept[id]) continue;
      place(id).budget.configure(limits_without_own(place(id)), now);
    }
  };
  change_limits(configure, now);
  if (now < spent_until_) assume_spent(spent_until_, now);
  for (Place& each : budgets_) mark(each);
  for (Place* account : accounts_) account->queue->each_lane([&](Lane& lane) { stand(lane); });
}

// Of a budget that no limits were given for by its name: those of the one it is like, else none, in the
// shape of its account's.
BudgetLimits Scheduler::limits_without_own(const Place& place) const {
  BudgetLimits limits;
  if (place.like != no_budget) limits = budgets_[place.like].budget.configured();
  if (place.of_account != no_budget) {
    const BudgetLimits& account = budgets_[place.of_account].budget.configured();
    limits.window = account.window;
    limits.guard = account.guard;
    limits.pacing = account.pacing;
  }
  limits.scope = place.budget.limits().scope;
  limits.name = place.budget.limits().name;
  return limits;
}

void Scheduler::assume_spent(Instant until, Instant now) {
  now_ = std::max(now_, now);
  spent_until_ = std::max(spent_until_, until);
  for (Place& each : budgets_) {
    if (!counts_upstream(each)) continue;
    each.budget.advance(now);
    each.budget.assume_spent(until, now);
  }
}

Snapshot Scheduler::snapshot(Instant now) {
  Snapshot snapshot;
  for (Place& each : budgets_) {
    each.budget.advance(now);
    auto charges = each.budget.charges(now);
    if (charges.empty()) continue;
    const std::string like = each.like == no_budget ? std::string() : limits_of(each.like).name;
    snapshot.budgets.push_back({each.budget.limits().scope, each.budget.limits().name, std::move(charges), like});
  }
  return snapshot;
}

void Scheduler::restore(const Snapshot& snapshot, Duration age, Instant now) {
  now_ = std::max(now_, now);
  for (const Snapshot::Entry& entry : snapshot.budgets) {
    const BudgetId id = !entry.like.empty()           ? budget_like(entry.name, budget(entry.scope, entry.like))
                        : entry.scope == Scope::model ? budget_of_model(entry.name)
                                                      : budget(entry.scope, entry.name);
    if (id == no_budget) continue;
    Place& at = place(id);
    at.budget.advance(now);
    for (Budget::Charge charge : entry.charges) {
      if (charge.leaves_in != Duration::max()) charge.leaves_in -= age;
      at.budget.restore(charge, now);
    }
  }
}

}  // namespace weir::admission
