// Who goes next: the scheduler's decisions, and what makes a budget worth asking again.
#include "admission/scheduler.hpp"

#include <algorithm>
#include <optional>
#include <utility>

namespace weir::admission {

const std::vector<Decision>& Scheduler::dispatch(Instant now) {
  now_ = std::max(now_, now);
  if (now >= learned_expires_) expire_learned(now);
  decisions_.clear();
  expire(now);
  if (decisions_.size() >= decisions_max) return decisions_;
  while (Timed* next = starts_.top()) {
    if (next->call->submission.not_before > now) break;
    starts_.remove(*next);
    enqueue(*next->call);
  }
  while (!ages_.empty() && ages_.top_key() <= now) stand(*ages_.top());
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
    if (marked_accounts_.empty() || decisions_.size() >= decisions_max) break;
    Place& account = next_account();
    if (serve(account, now)) continue;
    account.marked = false;
    std::erase(marked_accounts_, &account);
  }
  return decisions_;
}

// Of the accounts with news, the one whose first lane stands first: they may share a key or a team.
Scheduler::Place& Scheduler::next_account() {
  Place* best = marked_accounts_.front();
  if (marked_accounts_.size() == 1) return *best;
  std::optional<Standing> standing;
  for (Place* account : marked_accounts_) {
    const Lane* lane = account->queue->order().first();
    if (!lane) return *account;
    const Standing its = standing_of(*lane);
    if (standing && !(its < *standing)) continue;
    best = account;
    standing = its;
  }
  return *best;
}

std::optional<Instant> Scheduler::next_wakeup() const {
  if (!marked_.empty() || !marked_accounts_.empty()) return now_;
  Instant next = never;
  if (!deadlines_.empty()) next = std::min(next, deadlines_.top_key());
  if (!starts_.empty()) next = std::min(next, starts_.top_key());
  if (!wakes_.empty()) next = std::min(next, wakes_.top_key());
  if (!ages_.empty()) next = std::min(next, ages_.top_key());
  if (next == never) return std::nullopt;
  return next;
}

void Scheduler::expire(Instant now) {
  while (!deadlines_.empty()) {
    if (deadlines_.top_key() > now || decisions_.size() >= decisions_max) break;
    Call& call = *deadlines_.top()->call;
    if (const auto day = day_over(call, now)) {
      refuse(call, *day);
      continue;
    }
    Rejection rejection = call.state == Call::State::queued ? predict(call, now) : Rejection{};
    rejection.reason = Refusal::deadline;
    refuse(call, rejection);
  }
}

void Scheduler::refuse(Call& call, const Rejection& rejection) {
  decisions_.push_back({call.ticket, rejection});
  leave_queue(call);
  free_call(call);
}

// Why a call that waits cannot go before its deadline: what is left of a day has no room for it, whatever the running
// calls come to.
std::optional<Rejection> Scheduler::day_over(const Call& call, Instant now) {
  std::optional<Rejection> over;
  each_budget(call, [&](Place& each, const Cost& cost, const Expectation&) {
    each.budget.advance(now);
    const auto day = each.budget.day_over(cost);
    if (!day || day->when <= call.submission.deadline || (over && over->room_at >= day->when)) return;
    over = Rejection{Refusal::day, each.id, day->meter, day->when, 0, day->by, day->needs};
  });
  return over;
}

// Decides about the first lane; false: there is nothing to decide.
bool Scheduler::serve(Place& account, Instant now) {
  wake_at(account, never);
  Lane* lane = account.queue->order().first();
  if (!lane) return false;
  Call& call = head_of(*lane);
  const auto found = obstacle(*lane, call, now);
  if (!found) {
    decisions_.push_back({call.ticket, std::nullopt});
    admit(account, *lane, call, now);
  } else if (const auto day = day_over(call, now)) {
    refuse(call, *day);
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
    if (waits_before(each, lane)) {
      found = Obstacle{each.id, {}, true};
    } else if (const auto no_room = blocked(each, call, cost, later, now)) {
      found = Obstacle{each.id, *no_room};
    }
  });
  return found;
}

// Why a budget has no room for a call, and when to ask it again.
std::optional<Blocked> Scheduler::blocked(Place& place, const Call& call, const Cost& cost, const Expectation& later,
                                          Instant now) {
  place.budget.advance(now);
  if (now < place.paused_until) return Blocked{Meter::requests, place.paused_until};
  if (const auto when = place.breaker.blocked(now)) return Blocked{Meter::requests, *when};
  if (const auto found =
          place.budget.blocked(cost, cost.later == LaterCharge::none ? nullptr : &later, spread_of(call, later), now))
    return found;
  const Submission& s = call.submission;
  const bool ramps = s.ramps && place.id == (s.model != no_budget ? s.model : s.account);
  return place.budget.blocked_by_cap(ramps, limits_.learn, now);
}

// Whether somebody waits there who goes before this lane.
bool Scheduler::waits_before(Place& place, const Lane& lane) {
  for (const Parking& parking : place.parkings) {
    if (parking.account == lane.account) {
      if (!parking.order.would_be_first(lane)) return true;
    } else if (const Lane* other = claimant(parking)) {
      if (standing_of(*other) < standing_of(lane)) return true;
    }
  }
  return false;
}

// Who has the next room of this budget coming, of one account's lanes; nullptr: nobody, or somebody who was let out is
// to be asked before.
Lane* Scheduler::claimant(const Parking& parking) const {
  Lane* first = parking.order.first();
  if (first && parking.out && !LaneOrder::before(*first, *parking.out)) return nullptr;
  return first;
}

void Scheduler::admit(Place& account, Lane& lane, Call& call, Instant now) {
  decided(lane);
  leave_heaps(call);
  --queued_;
  queued_bytes_ -= call.submission.bytes;
  ++running_;
  count_guessed(call, -1);
  call.charged = lane.share;
  call.served_by = &account.queue->serve(lane);
  moved(*call.charged);
  if (lane.empty()) account.queue->drop(lane);
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
  account.queue->parked();
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
  asked_.clear();
  for (Parking& parking : from.parkings) {
    if (const Lane* lane = claimant(parking)) asked_.emplace_back(standing_of(*lane), &parking);
  }
  if (asked_.size() > 1)
    std::stable_sort(asked_.begin(), asked_.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  for (const auto& [standing, parking] : asked_) {
    Lane& lane = *parking->order.first();
    Call& call = head_of(lane);
    forecast(call, now);
    const bool own = from.budget.limits().scope != Scope::model;
    const Cost& cost = own ? call.submission.own : call.submission.upstream;
    if (const auto no_room = blocked(from, call, cost, own ? call.own_plan : call.upstream_plan, now)) {
      const auto day = day_over(call, now);
      if (!day) return wake_at(from, no_room->when);
      if (decisions_.size() >= decisions_max) return wake_at(from, now);
      return refuse(call, *day);  // which is news here
    }
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
  account.queue->parked();
  if (account.queue->catch_up(lane)) caught_up(lane);
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

// Waiting makes a lane more important: it takes the turns that its key has in the class which its head has aged to.
// Called whenever it may have another head, and when a head has come of age.
void Scheduler::stand(Lane& lane) {
  if (lane.priority == Priority::interactive) return;
  if (lane.age_place != not_in_heap) ages_.remove(lane);
  if (lane.empty()) return;
  const Instant arrived = lane.head().arrived;
  const std::int64_t steps = std::max<Duration>(Duration::zero(), now_ - arrived) / limits_.age_step;
  const Priority aged =
      static_cast<Priority>(std::max<std::int64_t>(0, static_cast<std::int64_t>(lane.priority) - steps));
  if (lane.share->priority != aged) {
    const bool tags_moved = place(lane.account).queue->stand(lane, aged);
    if (lane.released_from != no_budget) mark(place(lane.released_from));
    mark(place(lane.parked_on != no_budget ? lane.parked_on : lane.account));
    // It may have another head now: then it stands as that one has aged. This ends, as tags move up to a bound.
    if (tags_moved) return caught_up(lane);
  }
  if (aged == Priority::interactive) return;
  lane.ages_at = arrived + (steps + 1) * limits_.age_step;
  ages_.push(lane);
}

// The turns of a share and of a sub-lane of its key have come nearer or gone further: lanes of the key may have another
// head, and where they wait, another may be the first.
void Scheduler::moved(const Share& share) {
  if (share.group) {
    // Its whole group has moved, which matters where lanes of others wait too.
    for (Place* model : models_) mark(*model);
  }
  for (const auto& lane : share.of->lanes) {
    stand(*lane);
    if (lane->parked_on != no_budget) mark(place(lane->parked_on));
    if (lane->released_from != no_budget) mark(place(lane->released_from));
  }
}

// The turns of a lane have gone further without a call that did it: who waits beside it may come before it now.
void Scheduler::caught_up(Lane& lane) {
  moved(*lane.share);
  mark(place(lane.account));
  if (lane.parked_on != no_budget) mark(place(lane.parked_on));
  if (lane.released_from != no_budget) mark(place(lane.released_from));
}

void Scheduler::settle_turn(Call& call, Tokens difference) {
  queue_of(call).settle(*call.served_by, *call.charged, difference);
  if (difference != 0) moved(*call.charged);
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

// There may be less room than there was: whoever stands first at an account may have to wait here now, and let others
// pass.
void Scheduler::mark_with_accounts(Place& place) {
  mark(place);
  if (place.queue) return;  // nobody waits for an account but in its own order
  for (Place* account : accounts_) {
    const Lane* lane = account->queue->order().first();
    if (lane && (lane->of->key == place.id || lane->team == place.id || lane->model == place.id)) mark(*account);
  }
}

void Scheduler::mark_budgets_of(Call& call) {
  each_budget(call, [&](Place& each, const Cost&, const Expectation&) { mark(each); });
}

}  // namespace weir::admission
