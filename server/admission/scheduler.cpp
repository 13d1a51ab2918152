// The life of a waiting call: submission, its place in the queue, withdrawal.
#include "admission/scheduler.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

namespace weir::admission {

Scheduler::Scheduler(Limits limits, Instant now) {
  reconfigure(std::move(limits), now);
}

Scheduler::Place::Place(BudgetId i, BudgetLimits limits) : id(i), budget(std::move(limits)) {}

BudgetId Scheduler::budget(Scope scope, std::string_view name) {
  Names& names = names_of(scope);
  if (const auto found = names.find(name); found != names.end()) return found->second;
  BudgetLimits limits;
  limits.scope = scope;
  limits.name = name;
  Place& made = budgets_.emplace_back(static_cast<BudgetId>(budgets_.size()), std::move(limits));
  names.emplace(name, made.id);
  places_.push_back(&made);
  made.budget.advance(now_);
  if (scope == Scope::account) {
    made.queue = std::make_unique<FairQueue>();
    accounts_.push_back(&made);
  } else if (scope == Scope::model) {
    models_.push_back(&made);
  }
  return made.id;
}

BudgetId Scheduler::budget_like(std::string_view name, BudgetId like) {
  const Scope scope = place(like).budget.limits().scope;
  if (!names_of(scope).contains(name) && likes_ == likes_max) return like;
  Place& made = place(budget(scope, name));
  if (made.like != no_budget) return made.id;
  ++likes_;
  keep(made);
  made.like = like;
  made.budget.configure(limits_without_own(made), now_);
  made.budget.advance(now_);
  if (now_ < spent_until_ && counts_upstream(made)) made.budget.assume_spent(spent_until_, now_);
  return made.id;
}

BudgetId Scheduler::budget_of_model(std::string_view name, BudgetId account) {
  const bool known = names_of(Scope::model).contains(name);
  if (!known && invented_ == models_max) {
    Place* const idlest = idlest_model();
    if (!idlest) return no_budget;
    begin_anew(*idlest, name);
  }
  Place& model = place(budget(Scope::model, name));
  if (!known && !model.invented) {
    model.invented = true;
    ++invented_;
  }
  if (model.invented && model.of_account == no_budget && account != no_budget) {
    model.of_account = account;
    model.budget.configure(limits_without_own(model), now_);
  }
  model.asked_for = ++asked_for_;
  return model.id;
}

// Somebody configured it after all.
void Scheduler::keep(Place& model) {
  if (std::exchange(model.invented, false)) --invented_;
}

// The one that can make room for another; nullptr: none.
Scheduler::Place* Scheduler::idlest_model() {
  Place* idlest = nullptr;
  for (Place* model : models_) {
    if (!model->invented || model->calls > 0 || (idlest && idlest->asked_for < model->asked_for)) continue;
    model->budget.advance(now_);
    const bool well = now_ >= model->paused_until && model->breaker.state(now_) == Breaker::State::closed;
    if (well && model->budget.idle()) idlest = model;
  }
  return idlest;
}

// Nobody waits or runs there: it is the budget of another model from now on.
void Scheduler::begin_anew(Place& model, std::string_view name) {
  BudgetLimits limits;
  limits.scope = Scope::model;
  limits.name = name;
  names_of(Scope::model).erase(model.budget.limits().name);
  names_of(Scope::model).emplace(name, model.id);
  model.budget = Budget(std::move(limits));
  model.of_account = no_budget;
  model.budget.advance(now_);
  model.parkings.clear();
  model.paused_until = model.served_at = model.turned_away_at = Instant::min();
  model.breaker = {};
}

Scheduler::Call& Scheduler::make_call() {
  if (free_calls_.empty()) {
    calls_.push_back(std::make_unique<Call>());
    calls_.back()->ticket.index = static_cast<std::uint32_t>(calls_.size() - 1);
    timed_.push_back({calls_.back().get()});
    return *calls_.back();
  }
  Call& call = *calls_[free_calls_.back()];
  free_calls_.pop_back();
  return call;
}

void Scheduler::free_call(Call& call) {
  if (call.submission.model != no_budget) --place(call.submission.model).calls;
  Ticket ticket = call.ticket;
  ++ticket.generation;
  call = Call();
  call.ticket = ticket;
  free_calls_.push_back(ticket.index);
}

Scheduler::Call& Scheduler::call_of(Ticket ticket) {
  assert(ticket.index < calls_.size() && calls_[ticket.index]->ticket == ticket && "a ticket that is over");
  return *calls_[ticket.index];
}

std::variant<Ticket, Rejection> Scheduler::submit(Submission submission, Instant now) {
  assert(submission.account != no_budget && submission.key != no_budget);
  now_ = std::max(now_, now);
  Call& call = make_call();
  call.submission = std::move(submission);
  Submission& s = call.submission;
  if (s.model != no_budget) ++place(s.model).calls;
  call.arrived = s.arrived;
  call.sequence = ++sequence_;
  call.size = s.own.expected_size();
  call.upstream_size = s.upstream.expected_size();
  const auto reject = [&](Rejection rejection, Refusal reason) -> std::variant<Ticket, Rejection> {
    rejection.reason = reason;
    free_call(call);
    return rejection;
  };
  std::optional<Rejection> oversize;
  const bool refuses = limits_.oversize == Oversize::refuse;
  each_budget(call, [&](Place& each, const Cost& cost, const Expectation&) {
    const auto meter = each.budget.oversize(cost, refuses ? Budget::Beyond::limit : Budget::Beyond::all_debt);
    if (!meter || oversize) return;
    oversize = Rejection{Refusal::oversize, each.id, *meter, never, 0};
    if (!refuses) oversize->most = each.budget.most_in_debt(*meter);
  });
  if (oversize) return reject(*oversize, Refusal::oversize);
  const auto full = no_place(s);
  if (full && s.not_before > now) return reject(next_place(call, now), *full);
  ++queued_;
  queued_bytes_ += s.bytes;
  if (s.deadline != never) deadlines_.push(timed(call));
  if (s.not_before > now) {
    call.state = Call::State::timed;
    starts_.push(timed(call));
    return call.ticket;
  }
  enqueue(call);
  if (full && !could_start(call, now)) {
    leave_queue(call);
    return reject(next_place(call, now), *full);
  }
  if (s.deadline != never) {
    // Behind everybody else it would start at this time at the latest; only if that is too late it is worth a closer
    // look. Nobody is turned away by a guess: then it waits, and is turned away when its time is over.
    constexpr auto known = Basis::knowledge;
    const FairQueue& queue = queue_of(call);
    const Amount others = queue.queued() - call.amount();
    const Amount of_key = FairQueue::queued_of(*call.line->lane->of) - call.amount();
    Rejection prediction = predict(call, {of_key, others, others, others}, now, known);
    if (prediction.room_at > s.deadline) prediction = predict(call, now, known);
    if (prediction.room_at > s.deadline) {
      const bool day = prediction.meter == Meter::requests_day || prediction.meter == Meter::tokens_day;
      leave_queue(call);
      return reject(prediction, day ? Refusal::day : Refusal::deadline);
    }
  }
  return call.ticket;
}

// Why there is no place for another one to wait.
std::optional<Refusal> Scheduler::no_place(const Submission& s) const {
  if (s.again) return std::nullopt;
  if (queued_ >= limits_.requests_max) return Refusal::queue_full;
  if (queued_bytes_ + s.bytes > limits_.bytes_max && queued_ > 0) return Refusal::bytes_full;
  return std::nullopt;
}

// Whether the next dispatch admits it: nobody stands before it, and there is room everywhere.
bool Scheduler::could_start(Call& call, Instant now) {
  const Lane& lane = *call.line->lane;
  return &lane.head() == &call && queue_of(call).order().first() == &lane && !obstacle(lane, call, now);
}

// When the first of those who wait is predicted to go and leaves its place, and what it waits for, if that is a budget
// of the newcomer too. Looked at are the first at the budgets that are to be asked next, and at the newcomer's own.
Rejection Scheduler::next_place(Call& newcomer, Instant now) {
  constexpr std::size_t looks_max = 16;
  Rejection next;
  const auto consider = [&](const LaneOrder& order) {
    const Lane* lane = order.first();
    if (!lane) return;
    const Rejection its = predict(head_of(*lane), now);
    if (its.room_at < next.room_at) next = its;
  };
  const auto look_at = [&](const Place& at) {
    if (at.queue) consider(at.queue->order());
    for (const Parking& parking : at.parkings) consider(parking.order);
  };
  const auto& wakes = wakes_.nodes();  // a heap: the earliest are among its first
  for (std::size_t i = 0; i < std::min(wakes.size(), looks_max); ++i) look_at(*wakes[i].item);
  bool of_newcomer = false;
  each_budget(newcomer, [&](Place& each, const Cost&, const Expectation&) { look_at(each); });
  each_budget(newcomer, [&](Place& each, const Cost&, const Expectation&) { of_newcomer |= each.id == next.budget; });
  if (!of_newcomer) next.budget = no_budget;
  return next;
}

void Scheduler::enqueue(Call& call) {
  const Submission& s = call.submission;
  Place& account = place(s.account);
  LaneAddress address;
  address.key = s.key;
  address.team = s.team;
  address.account = s.account;
  address.model = s.model;
  address.priority = s.priority;
  address.weight = place(s.key).budget.limits().weight;
  if (s.team != no_budget) address.team_weight = place(s.team).budget.limits().weight;
  address.sub_lane = s.sub_lane;
  call.state = Call::State::queued;
  count_guessed(call, 1);
  Lane& lane = account.queue->push(call, address);
  std::string().swap(call.submission.sub_lane);  // the sub-lane knows its name
  if (!lane.in) account.queue->order().push(lane);
  if (account.queue->catch_up(lane)) caught_up(lane);
  stand(lane);
  if (&lane.head() != &call) return;
  // At the head of its lane: news for whoever decides about the lane.
  if (lane.released_from != no_budget) mark(place(lane.released_from));
  if (lane.parked_on != no_budget) {
    mark(place(lane.parked_on));
  } else if (lane.queued.requests > 1 || account.queue->order().first() == &lane) {
    mark(account);  // it is the first, or may have been and has made way for another by its new head
  }
}

void Scheduler::count_guessed(const Call& call, int sign) {
  Place& account = place(call.submission.account);
  account.own_guessed += sign * call.submission.own.guessed_size();
  account.upstream_guessed += sign * call.submission.upstream.guessed_size();
}

void Scheduler::leave_heaps(Call& call) {
  Timed& its = timed(call);
  if (its.deadline_place != not_in_heap) deadlines_.remove(its);
  if (its.start_place != not_in_heap) starts_.remove(its);
}

// Out of the queue, unserved.
void Scheduler::leave_queue(Call& call) {
  leave_heaps(call);
  --queued_;
  queued_bytes_ -= call.submission.bytes;
  if (call.state == Call::State::timed) return;
  Place& account = place(call.submission.account);
  Lane& lane = *call.line->lane;
  const bool was_head = &lane.head() == &call;
  const BudgetId parked_on = lane.parked_on;
  count_guessed(call, -1);
  account.queue->remove(call);
  stand(lane);
  if (was_head) {
    if (lane.released_from != no_budget) mark(place(lane.released_from));
    mark(parked_on != no_budget ? place(parked_on) : account);
  }
  if (lane.empty()) {
    decided(lane);
    account.queue->drop(lane);
  }
}

void Scheduler::withdraw(Ticket ticket, Instant now) {
  now_ = std::max(now_, now);
  Call& call = call_of(ticket);
  if (call.state == Call::State::sent) return settle(ticket, {}, Ending::lost, now);
  if (call.state == Call::State::admitted) {
    give_up(call, now);
  } else {
    leave_queue(call);
  }
  free_call(call);
}

}  // namespace weir::admission
