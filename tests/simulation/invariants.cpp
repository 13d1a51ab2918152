#include "simulation/invariants.hpp"

#include <set>
#include <vector>

namespace weir::simulation {
namespace {

using admission::BudgetId;
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
  if (limits_stay_) gateway_.watch_sendings([this](const Gateway::Exchange& sent) { count_in_windows(sent); });
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
  if (scheduler.limits_of(budget).burst) return false;  // the even rate may hold up anybody, for a moment
  const auto fits = [&](Meter meter, Tokens amount) {
    const MeterView view = scheduler.view(budget, meter, now);
    return !view.limit || view.used + view.reserved + amount <= *view.limit;
  };
  return fits(Meter::requests, 1) && fits(Meter::in_flight, 1) &&
         fits(Meter::tokens, largest.tokens + largest.later_input + largest.later_output);
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

void Invariants::count_in_windows(const Gateway::Exchange& sent) {
  admission::Scheduler& scheduler = gateway_.scheduler();
  each_own_budget(sent.call, [&](Scope scope, const std::string& name, std::uint32_t Call::*) {
    const admission::BudgetLimits& limits = scheduler.limits_of(scheduler.budget(scope, name));
    const auto limit = limits.limit(Meter::requests);
    if (!limit) return;
    simulator::WindowLog& log = sent_.try_emplace(name, limits.window).first->second;
    log.add(1, loop_.now());
    if (log.largest() > static_cast<std::uint64_t>(*limit))
      note(name + " sent " + std::to_string(log.largest()) + " in one window of " + std::to_string(*limit));
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
