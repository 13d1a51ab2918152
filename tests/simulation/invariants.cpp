#include "simulation/invariants.hpp"

#include <set>
#include <vector>

namespace weir::simulation {
namespace {

using admission::BudgetId;
using admission::BudgetLimits;
using admission::Cost;
using admission::Meter;
using admission::MeterView;
using admission::Scope;

// Looking closely takes time that a thousand callers would multiply.
constexpr std::uint64_t dispatches_per_look = 16;
constexpr std::uint64_t dispatches_per_count = 256;
constexpr std::uint64_t admissions_per_look = 8;

}  // namespace

Invariants::Invariants(EventLoop& loop, Gateway& gateway, bool limits_stay)
    : loop_(loop), gateway_(gateway), limits_stay_(limits_stay) {
  gateway_.watch([this] { after_dispatch(); });
  gateway_.watch_admissions([this](const Gateway::Exchange& admitted) { check_admission(admitted); });
  if (limits_stay_) gateway_.watch_sendings([this](const Gateway::Exchange& sent) { note_sending(sent); });
}

void Invariants::note(const std::string& what) {
  if (!wrong_.empty()) return;
  const auto since = std::chrono::duration<double>(loop_.now().time_since_epoch() - std::chrono::hours(640));
  wrong_ = "after " + std::to_string(since.count()) + " s: " + what;
}

void Invariants::after_dispatch() {
  if (!wrong_.empty()) return;
  if (const auto next = gateway_.scheduler().next_wakeup(); next && *next <= loop_.now()) return;  // it goes on at once
  ++dispatches_;
  if (dispatches_ % dispatches_per_look == 0) check_work_is_conserved();
  if (dispatches_ % dispatches_per_count == 0) {
    ++checks_;
    if (const std::string found = gateway_.scheduler().verify(loop_.now()); !found.empty()) note(found);
  }
}

// Whether the largest of those who wait would fit into all of it, whatever is forecast.
bool Invariants::has_room(BudgetId budget, const Cost& largest) {
  admission::Scheduler& scheduler = gateway_.scheduler();
  const Instant now = loop_.now();
  const BudgetLimits& limits = scheduler.limits_of(budget);
  if (limits.burst || limits.pacing > Duration::zero()) return false;  // both may hold up anybody, for a moment
  const auto fits = [&](Meter meter, Tokens amount) {
    const MeterView view = scheduler.view(budget, meter, now);
    return !view.limit || view.used + view.reserved + amount <= *view.limit;
  };
  const Tokens tokens = largest.tokens + largest.later_input + largest.later_output;
  return fits(Meter::requests, 1) && fits(Meter::in_flight, 1) && fits(Meter::tokens, tokens) &&
         fits(Meter::requests_day, 1) && fits(Meter::tokens_day, tokens);
}

// Whoever waits is held up by one of their budgets, or by somebody before them who is: so at least the largest of those
// who wait does not fit there. A forecast that came out better is noticed within a 64th of the window.
void Invariants::check_work_is_conserved() {
  ++checks_;
  Cost largest_own, largest_upstream;
  const auto grow = [](Cost& most, const Cost& cost) {
    most.tokens = std::max(most.tokens, cost.tokens);
    most.later_input = std::max(most.later_input, cost.later_input);
    most.later_output = std::max(most.later_output, cost.later_output);
  };
  std::vector<const Gateway::Exchange*> waiting;
  gateway_.each_waiting([&](const Gateway::Exchange& exchange) {
    grow(largest_own, exchange.costs.own);
    grow(largest_upstream, exchange.costs.upstream);
    waiting.push_back(&exchange);
  });
  admission::Scheduler& scheduler = gateway_.scheduler();
  std::vector<std::optional<bool>> known(scheduler.budget_count() + 1);
  const auto room = [&](Scope scope, const std::string& name, const Cost& largest) {
    const BudgetId budget = scheduler.budget(scope, name);
    if (known.size() <= budget) known.resize(budget + 1);
    if (!known[budget]) known[budget] = has_room(budget, largest);
    return *known[budget];
  };
  bool idle = false;
  if (!waiting.empty() && gateway_.flows_freely() && room(Scope::account, account_budget, largest_upstream)) {
    for (const Gateway::Exchange* each : waiting) {
      idle = room(Scope::key, key_budget(each->call.key), largest_own);
      if (gateway_.settings().with_teams) idle = idle && room(Scope::team, team_budget(each->call.team), largest_own);
      if (gateway_.settings().with_models)
        idle = idle && room(Scope::model, model_budget(each->call.model), largest_upstream);
      if (idle) break;
    }
  }
  if (!idle) {
    idle_since_.reset();
  } else if (!idle_since_) {
    idle_since_ = loop_.now();
  } else {
    const Duration window = gateway_.settings().limits.budgets.front().window;
    if (loop_.now() - *idle_since_ > window / 32) note("somebody waits while everything has room");
  }
}

void Invariants::check_admission(const Gateway::Exchange& admitted) {
  if (gateway_.paused()) note("somebody was sent while the provider wanted to be left alone");
  check_own_limits(admitted);
  if (++admissions_ % admissions_per_look != 0) return;
  ++checks_;
  check_own_lane(admitted);
  check_slots(admitted);
}

// The budgets of a call beside the account's, and which of its figures says whose they are.
void Invariants::each_own_budget(const Call& call, const EachBudget& each) {
  each(Scope::key, key_budget(call.key), &Call::key);
  if (gateway_.settings().with_teams) each(Scope::team, team_budget(call.team), &Call::team);
  if (gateway_.settings().with_models) each(Scope::model, model_budget(call.model), &Call::model);
}

void Invariants::each_own_limits(const Gateway::Exchange& exchange, const EachLimits& each) {
  admission::Scheduler& scheduler = gateway_.scheduler();
  each_own_budget(exchange.call, [&](Scope scope, const std::string& name, std::uint32_t Call::*) {
    each(scheduler.limits_of(scheduler.budget(scope, name)),
         scope == Scope::model ? exchange.costs.upstream : exchange.costs.own);
  });
}

void Invariants::check_own_limits(const Gateway::Exchange& admitted) {
  each_own_limits(admitted, [&](const BudgetLimits& limits, const Cost& cost) {
    check_size(limits, cost);
    check_days(limits, cost);
    if (limits_stay_) check_debt(limits, cost);
  });
}

MeterView Invariants::view_of(const BudgetLimits& limits, Meter meter) {
  admission::Scheduler& scheduler = gateway_.scheduler();
  return scheduler.view(scheduler.budget(limits.scope, limits.name), meter, loop_.now());
}

// Who is larger than a whole limit goes when nothing else is counted there.
void Invariants::check_size(const BudgetLimits& limits, const Cost& cost) {
  const auto limit = limits.limit(Meter::tokens);
  if (!limit || cost.tokens <= *limit) return;
  ++oversize_;
  const MeterView view = view_of(limits, Meter::tokens);
  if (view.used > 0 || view.reserved > cost.tokens + cost.later_output + 1)
    note("who is larger than the limit of " + limits.name + " was not alone there");
}

// What is used and reserved is within the limit of a day, but for one that found the day unused.
void Invariants::check_days(const BudgetLimits& limits, const Cost& cost) {
  const Tokens all = cost.tokens + cost.later_input + cost.later_output + 1;
  for (const auto& [meter, alone] : {std::pair(Meter::requests_day, Tokens{1}), std::pair(Meter::tokens_day, all)}) {
    if (!limits.limit(meter)) continue;
    const MeterView view = view_of(limits, meter);
    if (view.used + view.reserved > std::max(*view.limit, view.used > 0 ? 0 : alone))
      note("more was let through to " + limits.name + " than a day allows");
  }
}

// Nobody else goes before the last part of a debt is paid.
void Invariants::check_debt(const BudgetLimits& limits, const Cost& cost) {
  const auto owes = owes_until_.find(limits.name);
  if (owes != owes_until_.end() && cost.tokens > 0 && loop_.now() < owes->second)
    note(limits.name + " was used while a call still paid there");
}

void Invariants::note_sending(const Gateway::Exchange& sent) {
  const bool nothing_comes_back = sent.call.estimate == sent.call.input;
  each_own_limits(sent, [&](const BudgetLimits& limits, const Cost& cost) {
    count_in_window(limits);
    count_in_day(limits);
    if (nothing_comes_back) note_debt(limits, cost);
  });
}

void Invariants::count_in_window(const BudgetLimits& limits) {
  const auto limit = limits.limit(Meter::requests);
  if (!limit) return;
  simulator::WindowLog& log = sent_.try_emplace(limits.name, limits.window).first->second;
  log.add(1, loop_.now());
  if (log.largest() > static_cast<std::uint64_t>(*limit))
    note(limits.name + " sent " + std::to_string(log.largest()) + " in one window of " + std::to_string(*limit));
}

void Invariants::count_in_day(const BudgetLimits& limits) {
  const auto limit = limits.limit(Meter::requests_day);
  if (!limit) return;
  const auto day = std::chrono::floor<std::chrono::days>(loop_.now() - limits.day_resets).count();
  const Tokens in_day = ++sent_in_day_[{limits.name, static_cast<int>(day)}];
  if (in_day > *limit)
    note(limits.name + " sent " + std::to_string(in_day) + " in one day of " + std::to_string(*limit));
}

void Invariants::note_debt(const BudgetLimits& limits, const Cost& cost) {
  const auto limit = limits.limit(Meter::tokens);
  if (!limit || cost.tokens <= *limit) return;
  owes_until_[limits.name] = loop_.now() + (cost.tokens - 1) / *limit * limits.window;
}

void Invariants::check_slots(const Gateway::Exchange& admitted) {
  admission::Scheduler& scheduler = gateway_.scheduler();
  each_own_budget(admitted.call, [&](Scope scope, const std::string& name, std::uint32_t Call::* owner) {
    const auto limit = scheduler.limits_of(scheduler.budget(scope, name)).limit(Meter::in_flight);
    if (!limit) return;
    Tokens running = 0;
    gateway_.each_exchange([&](const Gateway::Exchange& other) {
      running += other.state != Gateway::Exchange::State::waiting && other.call.*owner == admitted.call.*owner;
    });
    if (running > *limit) note(name + " has " + std::to_string(running) + " in flight of " + std::to_string(*limit));
  });
}

// First come, first served among equals: same key, class, team, model and lane.
void Invariants::check_own_lane(const Gateway::Exchange& admitted) {
  const Call& call = admitted.call;
  gateway_.each_waiting([&](const Gateway::Exchange& other) {
    if (other.call.key != call.key || other.call.priority != call.priority || other.call.lane != call.lane) return;
    if (gateway_.settings().with_models && other.call.model != call.model) return;
    if (gateway_.settings().with_teams && other.call.team != call.team) return;
    if (other.arrived < admitted.arrived && other.order < admitted.order)
      note("somebody was overtaken in their own lane");
  });
}

void Invariants::check_at_rest() {
  if (!wrong_.empty()) return;
  admission::Scheduler& scheduler = gateway_.scheduler();
  if (const std::string found = scheduler.verify(loop_.now()); !found.empty()) return note(found);
  if (scheduler.queued() != 0 || scheduler.queued_bytes() != 0) return note("somebody still waits");
  if (scheduler.running() != 0) return note("somebody still runs");
  for (BudgetId budget = 0; budget < scheduler.budget_count(); ++budget) {
    for (std::size_t meter = 0; meter < admission::meter_count; ++meter) {
      const MeterView view = scheduler.view(budget, static_cast<Meter>(meter), loop_.now());
      const std::string& name = scheduler.limits_of(budget).name;
      if (view.reserved != 0) return note(name + " still holds a reservation");
      if (static_cast<Meter>(meter) == Meter::in_flight && view.used != 0) return note(name + " still holds a slot");
    }
  }
}

}  // namespace weir::simulation
