#include "admission/scheduler.hpp"

#include <algorithm>
#include <cassert>
#include <utility>

namespace weir::admission {
namespace {

std::string name_of(Scope scope, std::string_view name) {
  return std::to_string(static_cast<int>(scope)) + ':' + std::string(name);
}

Tokens expected_size(const Cost& cost) {
  return std::max<Tokens>(1, std::max(cost.tokens, cost.input + cost.output) + cost.later_input + cost.later_output);
}

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

}  // namespace

Scheduler::Scheduler(Limits limits, Instant now) {
  reconfigure(std::move(limits), now);
}

BudgetId Scheduler::budget(Scope scope, std::string_view name) {
  const auto [found, added] = names_.try_emplace(name_of(scope, name), static_cast<BudgetId>(budgets_.size()));
  if (added) {
    BudgetLimits limits;
    limits.scope = scope;
    limits.name = name;
    Place& made = budgets_.emplace_back(found->second, std::move(limits));
    made.budget.advance(now_);
    if (scope == Scope::account) {
      made.queue = std::make_unique<FairQueue>();
      accounts_.push_back(&made);
    } else if (scope == Scope::model) {
      models_.push_back(&made);
    }
  }
  return found->second;
}

template <typename AnyCall, typename Each>
void Scheduler::each_budget(AnyCall& call, Each each) {
  const Submission& s = call.submission;
  if (s.key != no_budget) each(place(s.key), s.own, call.own_plan);
  if (s.team != no_budget) each(place(s.team), s.own, call.own_plan);
  if (s.model != no_budget) each(place(s.model), s.upstream, call.upstream_plan);
  if (s.account != no_budget) each(place(s.account), s.upstream, call.upstream_plan);
}

Scheduler::Call& Scheduler::make_call() {
  if (free_calls_.empty()) {
    calls_.push_back(std::make_unique<Call>());
    calls_.back()->ticket.index = static_cast<std::uint32_t>(calls_.size() - 1);
    return *calls_.back();
  }
  Call& call = *calls_[free_calls_.back()];
  free_calls_.pop_back();
  return call;
}

void Scheduler::free_call(Call& call) {
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

// --- Waiting ---------------------------------------------------------------------------------------------------------

std::variant<Ticket, Rejection> Scheduler::submit(Submission submission, Instant now) {
  assert(submission.account != no_budget && submission.key != no_budget);
  now_ = std::max(now_, now);
  Call& call = make_call();
  call.submission = std::move(submission);
  Submission& s = call.submission;
  call.arrived = s.arrived;
  call.sequence = ++sequence_;
  call.size = expected_size(s.own);
  const auto reject = [&](Rejection rejection, Refusal reason) -> std::variant<Ticket, Rejection> {
    rejection.reason = reason;
    free_call(call);
    return rejection;
  };
  if (queued_ >= limits_.requests_max) return reject({}, Refusal::queue_full);
  if (queued_bytes_ + s.bytes > limits_.bytes_max && queued_ > 0) return reject({}, Refusal::bytes_full);
  if (limits_.oversize == Oversize::refuse) {
    std::optional<Rejection> oversize;
    each_budget(call, [&](Place& each, const Cost& cost, const Expectation&) {
      const auto meter = each.budget.oversize(cost);
      if (meter && !oversize) oversize = Rejection{Refusal::oversize, each.id, *meter, never, 0};
    });
    if (oversize) return reject(*oversize, Refusal::oversize);
  }
  ++queued_;
  queued_bytes_ += s.bytes;
  if (s.deadline != never) deadlines_.push(call);
  if (s.not_before > now) {
    call.state = Call::State::timed;
    starts_.push(call);
    return call.ticket;
  }
  enqueue(call, now);
  if (s.deadline != never) {
    // Behind everybody else it would start at this time at the latest; only if that is too late it is worth a closer
    // look.
    const FairQueue& queue = queue_of(call);
    const Tokens others = queue.queued() - call.size;
    const Tokens count = queue.waiting() - 1;
    Rejection prediction = predict(call, {others, count, others, count}, now);
    if (prediction.room_at > s.deadline) prediction = predict(call, now);
    if (prediction.room_at > s.deadline) {
      const bool day = prediction.meter == Meter::requests_day || prediction.meter == Meter::tokens_day;
      leave_queue(call);
      return reject(prediction, day ? Refusal::day : Refusal::deadline);
    }
  }
  return call.ticket;
}

void Scheduler::enqueue(Call& call, Instant now) {
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
  Lane& lane = account.queue->push(call, address);
  std::string().swap(call.submission.sub_lane);  // the sub-lane knows its name
  if (!lane.in) account.queue->order().push(lane);
  if (&lane.head() != &call) return;
  // At the head of its lane: news for whoever decides about the lane.
  if (lane.released_from != no_budget) mark(place(lane.released_from));
  if (lane.parked_on != no_budget) {
    mark(place(lane.parked_on));
  } else if (lane.waiting > 1 || account.queue->order().first(now, limits_.age_step) == &lane) {
    mark(account);  // it is the first, or may have been and has made way for another by its new head
  }
}

void Scheduler::leave_heaps(Call& call) {
  if (call.deadline_place != not_in_heap) deadlines_.remove(call);
  if (call.start_place != not_in_heap) starts_.remove(call);
}

// Out of the queue, unserved.
void Scheduler::leave_queue(Call& call) {
  leave_heaps(call);
  --queued_;
  queued_bytes_ -= call.submission.bytes;
  if (call.state == Call::State::timed) return;
  Place& account = place(call.submission.account);
  Lane& lane = *call.sub->lane;
  const bool was_head = &lane.head() == &call;
  const BudgetId parked_on = lane.parked_on;
  account.queue->remove(call);
  if (was_head) {
    if (lane.released_from != no_budget) mark(place(lane.released_from));
    mark(parked_on != no_budget ? place(parked_on) : account);
  }
  if (lane.waiting == 0) {
    lane.parked_on = no_budget;
    decided(lane);
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

// --- Deciding --------------------------------------------------------------------------------------------------------

std::vector<Decision> Scheduler::dispatch(Instant now) {
  now_ = std::max(now_, now);
  std::vector<Decision> decisions;
  expire(now, decisions);
  if (decisions.size() >= decisions_max) return decisions;
  while (Call* call = starts_.top()) {
    if (call->submission.not_before > now) break;
    starts_.remove(*call);
    enqueue(*call, now);
  }
  while (Place* due = wakes_.top()) {
    if (due->wake > now) break;
    wake_at(*due, never);
    mark(*due);
  }
  for (;;) {
    // Whoever may be asked again comes back before the next is chosen, or somebody behind them would go first.
    while (!marked_.empty()) {
      Place& news = *marked_.back();
      marked_.pop_back();
      news.marked = false;
      release(news, now);
    }
    if (marked_accounts_.empty() || decisions.size() >= decisions_max) break;
    Place& account = next_account(now);
    if (serve(account, now, decisions)) continue;
    account.marked = false;
    std::erase(marked_accounts_, &account);
  }
  return decisions;
}

// Of the accounts with news, the one whose first lane stands first: they may share a key or a team.
Scheduler::Place& Scheduler::next_account(Instant now) {
  Place* best = marked_accounts_.front();
  if (marked_accounts_.size() == 1) return *best;
  std::optional<Standing> standing;
  for (Place* account : marked_accounts_) {
    const Lane* lane = account->queue->order().first(now, limits_.age_step);
    if (!lane) return *account;
    const Standing its = standing_of(*lane, now, limits_.age_step);
    if (standing && !(its < *standing)) continue;
    best = account;
    standing = its;
  }
  return *best;
}

std::optional<Instant> Scheduler::next_wakeup() const {
  if (!marked_.empty() || !marked_accounts_.empty()) return now_;
  Instant next = never;
  if (const Call* call = deadlines_.top()) next = std::min(next, call->submission.deadline);
  if (const Call* call = starts_.top()) next = std::min(next, call->submission.not_before);
  if (const Place* due = wakes_.top()) next = std::min(next, due->wake);
  if (next == never) return std::nullopt;
  return next;
}

void Scheduler::expire(Instant now, std::vector<Decision>& decisions) {
  while (Call* call = deadlines_.top()) {
    if (call->submission.deadline > now || decisions.size() >= decisions_max) break;
    Rejection rejection = call->state == Call::State::queued ? predict(*call, now) : Rejection{};
    rejection.reason = Refusal::deadline;
    decisions.push_back({call->ticket, rejection});
    leave_queue(*call);
    free_call(*call);
  }
}

// Decides about the first lane; false: there is nothing to decide.
bool Scheduler::serve(Place& account, Instant now, std::vector<Decision>& decisions) {
  wake_at(account, never);
  Lane* lane = account.queue->order().first(now, limits_.age_step);
  if (!lane) return false;
  Call& call = head_of(*lane);
  const auto found = obstacle(*lane, call, now);
  if (!found) {
    decisions.push_back({call.ticket, std::nullopt});
    admit(account, *lane, call, now);
  } else if (found->budget == account.id) {
    wake_at(account, found->blocked.when);
    return false;
  } else {
    park(account, *lane, *found);
  }
  return true;
}

// What keeps the first call of a lane from being sent; all are asked before any is charged.
std::optional<Scheduler::Obstacle> Scheduler::obstacle(const Lane& lane, Call& call, Instant now) {
  forecast(call, now);
  std::optional<Obstacle> found;
  each_budget(call, [&](Place& each, const Cost& cost, const Expectation& later) {
    if (found) return;
    if (waits_before(each, lane, now)) {
      found = Obstacle{each.id, {}, true};
    } else if (const auto no_room = blocked(each, cost, later, now)) {
      found = Obstacle{each.id, *no_room};
    }
  });
  return found;
}

// Why a budget has no room for a call, and when to ask it again.
std::optional<Blocked> Scheduler::blocked(Place& place, const Cost& cost, const Expectation& later, Instant now) {
  place.budget.advance(now);
  if (now < place.paused_until) return Blocked{Meter::requests, place.paused_until};
  if (const auto when = place.breaker.blocked(now)) return Blocked{Meter::requests, *when};
  return place.budget.blocked(cost, cost.later == LaterCharge::none ? nullptr : &later, now);
}

// Whether somebody waits there who goes before this lane.
bool Scheduler::waits_before(Place& place, const Lane& lane, Instant now) {
  for (const Parking& parking : place.parkings) {
    if (parking.account == lane.account) {
      if (!parking.order.would_be_first(lane, now, limits_.age_step)) return true;
    } else if (const Lane* other = claimant(parking, now)) {
      if (standing_of(*other, now, limits_.age_step) < standing_of(lane, now, limits_.age_step)) return true;
    }
  }
  return false;
}

// Who has the next room of this budget coming, of one account's lanes; nullptr: nobody, or somebody who was let out is
// to be asked before.
Lane* Scheduler::claimant(const Parking& parking, Instant now) const {
  Lane* first = parking.order.first(now, limits_.age_step);
  if (first && parking.out && !LaneOrder::before(*first, *parking.out, now, limits_.age_step)) return nullptr;
  return first;
}

void Scheduler::admit(Place& account, Lane& lane, Call& call, Instant now) {
  account.queue->order().remove(lane);
  decided(lane);
  leave_heaps(call);
  --queued_;
  queued_bytes_ -= call.submission.bytes;
  ++running_;
  call.served_by = &account.queue->serve(lane);
  moved(*lane.share);
  if (lane.waiting > 0) account.queue->order().push(lane);
  call.state = Call::State::admitted;
  call.admitted_at = now;
  each_budget(call, [&](Place& each, const Cost& cost, const Expectation&) {
    each.budget.admit(cost);
    each.breaker.admitted(now);
  });
  plan(call, now);
}

void Scheduler::park(Place& account, Lane& lane, const Obstacle& obstacle) {
  account.queue->order().remove(lane);
  Place& at = place(obstacle.budget);
  decided(lane);
  lane.parked_on = at.id;
  parking_of(at, lane).order.push(lane);
  // Asked in vain: nobody behind it is, until there is news.
  if (!obstacle.behind_others) wake_at(at, std::min(at.wake, obstacle.blocked.when));
}

Scheduler::Parking& Scheduler::parking_of(Place& place, const Lane& lane) {
  for (Parking& parking : place.parkings) {
    if (parking.account == lane.account) return parking;
  }
  Parking& made = place.parkings.emplace_back();
  made.account = lane.account;
  return made;
}

// News of a budget: the first of those who wait there goes back to be asked everywhere, if there is room for it. Those
// after it wait for what comes of it; lanes of another account, which may be asked at another time, do not.
void Scheduler::release(Place& from, Instant now) {
  wake_at(from, never);
  std::vector<std::pair<Standing, Parking*>> asked;
  for (Parking& parking : from.parkings) {
    if (const Lane* lane = claimant(parking, now))
      asked.emplace_back(standing_of(*lane, now, limits_.age_step), &parking);
  }
  std::stable_sort(asked.begin(), asked.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  for (const auto& [standing, parking] : asked) {
    Lane& lane = *parking->order.first(now, limits_.age_step);
    Call& call = head_of(lane);
    forecast(call, now);
    const bool own = from.budget.limits().scope != Scope::model;
    const Cost& cost = own ? call.submission.own : call.submission.upstream;
    if (const auto no_room = blocked(from, cost, own ? call.own_plan : call.upstream_plan, now))
      return wake_at(from, no_room->when);
    let_out(from, *parking, lane);
  }
}

void Scheduler::let_out(Place& from, Parking& parking, Lane& lane) {
  parking.order.remove(lane);
  parking.out = &lane;
  lane.parked_on = no_budget;
  lane.released_from = from.id;
  Place& account = place(lane.account);
  account.queue->order().push(lane);
  if (account.queue->rejoin(lane)) {
    moved(*lane.share);
    mark(from);  // the next one there may come before it now
  }
  mark(account);
}

// A lane that was let out has gone, or stands elsewhere: the next may be asked.
void Scheduler::decided(Lane& lane) {
  if (lane.released_from == no_budget) return;
  Place& from = place(lane.released_from);
  Parking& parking = parking_of(from, lane);
  if (parking.out == &lane) parking.out = nullptr;
  lane.released_from = no_budget;
  mark(from);
}

// The turns of a share have come nearer or gone further: where its lanes wait, another may be the first. With one lane
// only, the budgets it waits at are those of the call that moved it.
void Scheduler::moved(const Share& share) {
  if (share.group) {
    // Its whole group has moved, which matters where lanes of others wait too.
    for (Place* model : models_) mark(*model);
  }
  if (share.lanes.size() < 2) return;
  for (const Lane* lane : share.lanes) {
    if (lane->parked_on != no_budget) mark(place(lane->parked_on));
    if (lane->released_from != no_budget) mark(place(lane->released_from));
  }
}

void Scheduler::settle_turn(Call& call, Tokens difference) {
  queue_of(call).settle(*call.served_by, difference);
  if (difference != 0) moved(*call.served_by->lane->share);
}

void Scheduler::wake_at(Place& place, Instant when) {
  if (place.wake_place != not_in_heap) wakes_.remove(place);
  place.wake = when;
  if (when != never) wakes_.push(place);
}

void Scheduler::mark(Place& place) {
  if (place.marked) return;
  place.marked = true;
  (place.queue ? marked_accounts_ : marked_).push_back(&place);
}

void Scheduler::mark_budgets_of(Call& call) {
  each_budget(call, [&](Place& each, const Cost&, const Expectation&) { mark(each); });
}

// --- Running ---------------------------------------------------------------------------------------------------------

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
    each.budget.plan(expectation);
  });
}

void Scheduler::unplan(Call& call) {
  each_budget(call, [](Place& each, const Cost&, const Expectation& expectation) { each.budget.unplan(expectation); });
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
  unplan(call);
  call.state = Call::State::sent;
  call.sent_at = now;
  each_budget(call, [&](Place& each, const Cost& cost, const Expectation&) {
    each.budget.advance(now);
    each.budget.send(cost, now);
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
  const Tokens more = produced - call.produced;
  if (more <= 0) return;
  unplan(call);
  if (call.produced == 0) call.first_output_at = now;
  call.produced = produced;
  each_budget(call, [&](Place& each, const Cost& cost, const Expectation&) {
    each.budget.advance(now);
    if (cost.later == LaterCharge::as_produced) each.budget.charge(0, more, now);
  });
  forecast(call, now);
  plan(call, now);
}

void Scheduler::settle(Ticket ticket, const Usage& usage, Ending ending, Instant now) {
  now_ = std::max(now_, now);
  Call& call = call_of(ticket);
  if (call.state != Call::State::sent) return withdraw(ticket, now);
  const Submission& s = call.submission;
  unplan(call);
  Tokens fair_size = 0;
  each_budget(call, [&](Place& each, const Cost& cost, const Expectation&) {
    Budget& budget = each.budget;
    budget.advance(now);
    Tokens input = cost.later == LaterCharge::at_end ? cost.later_input : cost.input;
    Tokens output = std::max(call.produced, cost.later_output);
    if (ending == Ending::lost) output = std::max(output, cost.output_max);
    if (ending == Ending::refused) input = output = 0;
    if (usage.known) {
      input = usage.input - (cost.cached_input_free ? usage.cached : 0);
      output = usage.output;
    }
    if (each.id == s.key) fair_size = input + output;
    if (cost.later == LaterCharge::at_end) {
      budget.charge(input, output, now);
    } else {
      if (cost.corrects && input != cost.input)
        budget.correct(call.sent_at, input - cost.input, input - cost.input, now);
      if (cost.later == LaterCharge::as_produced && output > call.produced)
        budget.charge(0, output - call.produced, now);
    }
    if (ending == Ending::refused && &cost == &s.own) budget.uncount(call.sent_at, now);
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

// --- What others say, and what changes -------------------------------------------------------------------------------

void Scheduler::observe(const UpstreamReport& report, Instant now, Rng& rng) {
  now_ = std::max(now_, now);
  Place& at = place(report.budget);
  at.budget.advance(now);
  if (report.pause_until) {
    Instant until = *report.pause_until;
    if (report.jitter > Duration::zero())
      until += Duration(static_cast<Duration::rep>(rng() % static_cast<std::uint64_t>(report.jitter.count())));
    if (report.probe) {
      at.breaker.open(until);
    } else {
      at.paused_until = std::max(at.paused_until, until);
    }
  }
  for (const UpstreamReport::Remaining& each : report.remaining) {
    const Tokens theirs = each.limit - each.remaining;
    const MeterView ours = at.budget.view(each.meter, now);
    if (ours.limit) at.budget.note_used_by_others(each.meter, theirs - ours.used - ours.reserved, now);
  }
  // Whoever stands first at an account may have to wait here now, and let others pass.
  mark(at);
  for (Place* account : accounts_) mark(*account);
}

void Scheduler::reconfigure(Limits limits, Instant now) {
  now_ = std::max(now_, now);
  for (const auto& call : calls_) {
    if (call->runs()) unplan(*call);
  }
  std::vector<BudgetLimits> wanted = std::move(limits.budgets);
  limits.budgets.clear();
  limits_ = std::move(limits);
  std::vector<bool> named(budgets_.size(), false);
  for (BudgetLimits& each : wanted) {
    const BudgetId id = budget(each.scope, each.name);
    if (id < named.size()) named[id] = true;
    place(id).budget.configure(std::move(each), now);
  }
  for (BudgetId id = 0; id < named.size(); ++id) {
    if (named[id]) continue;
    BudgetLimits unlimited;
    unlimited.scope = place(id).budget.limits().scope;
    unlimited.name = place(id).budget.limits().name;
    place(id).budget.configure(std::move(unlimited), now);
  }
  for (const auto& call : calls_) {
    if (!call->runs()) continue;
    forecast(*call, now);
    plan(*call, now);
  }
  for (Place& each : budgets_) mark(each);
}

void Scheduler::assume_spent(Instant until, Instant now) {
  now_ = std::max(now_, now);
  for (Place& each : budgets_) {
    const Scope scope = each.budget.limits().scope;
    if (scope != Scope::account && scope != Scope::model) continue;
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
    snapshot.budgets.push_back({each.budget.limits().scope, each.budget.limits().name, std::move(charges)});
  }
  return snapshot;
}

void Scheduler::restore(const Snapshot& snapshot, Duration age, Instant now) {
  now_ = std::max(now_, now);
  for (const Snapshot::Entry& entry : snapshot.budgets) {
    Place& at = place(budget(entry.scope, entry.name));
    at.budget.advance(now);
    for (Budget::Charge charge : entry.charges) {
      if (charge.leaves_in != Duration::max()) charge.leaves_in -= age;
      at.budget.restore(charge, now);
    }
  }
}

// --- Views -----------------------------------------------------------------------------------------------------------

Rejection Scheduler::predict(const Call& call, const FairQueue::Ahead& ahead, Instant now) {
  const Submission& s = call.submission;
  Rejection prediction;
  prediction.room_at = now;
  prediction.requests_ahead = ahead.requests;
  each_budget(call, [&](Place& each, const Cost& cost, const Expectation&) {
    const bool own = &cost == &s.own;
    each.budget.advance(now);
    Blocked last = each.budget.predict((own ? ahead.requests_of_key : ahead.requests) + 1,
                                       (own ? ahead.tokens_of_key : ahead.tokens) + expected_size(cost), now);
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
  const FairQueue& queue = queue_of(call);
  return predict(call, {queue.queued(), queue.waiting(), queue.queued(), queue.waiting()}, now).room_at;
}

WaitingView Scheduler::view_of(const Call& call, Instant now) {
  const Submission& s = call.submission;
  WaitingView view{call.ticket, s.key,        s.account, s.model,         s.sub_lane, s.priority,
                   1,           s.not_before, no_budget, Meter::requests, s.arrived,  s.bytes};
  if (call.state == Call::State::queued) {
    view.sub_lane = call.sub->name;
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
    const Share& share = *call->sub->lane->share;
    const auto [tag, weight] =
        share.group ? std::pair(share.group->tag, share.group->weight) : std::pair(share.tag, share.weight);
    order.emplace_back(tag + (call->mark - call->sub->left) * tag_scale / weight, call.get());
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

std::string Scheduler::verify(Instant now) {
  struct Sum {
    Tokens in_flight = 0, tokens = 0, requests = 0;
  };
  std::vector<Sum> sums(budgets_.size());
  std::size_t waiting = 0, running = 0, bytes = 0;
  for (const auto& each_call : calls_) {
    Call& call = *each_call;
    const bool waits = call.state == Call::State::timed || call.state == Call::State::queued;
    waiting += waits;
    bytes += waits ? call.submission.bytes : 0;
    if (!call.runs()) continue;
    ++running;
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
  for (Place& each : budgets_) {
    const std::string name = each.budget.limits().name;
    each.budget.advance(now);
    const Sum& sum = sums[each.id];
    agree(name + " in flight", sum.in_flight, each.budget.in_flight());
    agree(name + " tokens reserved", sum.tokens, each.budget.view(Meter::tokens, now).reserved);
    agree(name + " requests reserved", sum.requests, each.budget.view(Meter::requests, now).reserved);
    if (!each.queue) continue;
    Tokens queued = 0, lanes = 0;
    each.queue->each_lane([&](const Lane& lane) {
      queued += lane.waiting;
      lanes += lane.waiting > 0 && !lane.in;
    });
    agree(name + " queued", queued, each.queue->waiting());
    agree(name + " lanes in no order", lanes, 0);
  }
  return wrong;
}

}  // namespace weir::admission
