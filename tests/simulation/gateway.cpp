#include "simulation/gateway.hpp"

#include <string>
#include <utility>

namespace weir::simulation {

using admission::Ending;
using admission::Scope;
using admission::Trouble;
using admission::Usage;

std::string key_budget(std::uint32_t key) {
  return "key" + std::to_string(key);
}
std::string team_budget(std::uint32_t team) {
  return "team" + std::to_string(team);
}
std::string model_budget(std::uint32_t model) {
  return "model" + std::to_string(model);
}

namespace {

constexpr unsigned tries_bits = 16;
// As often as the relay tells what has come.
constexpr std::chrono::milliseconds progress_every{250};
// How long it takes to find out that a connection was closed.
constexpr std::chrono::milliseconds stale_noticed_max{60};

}  // namespace

Gateway::Gateway(EventLoop& loop, Provider& provider, GatewaySettings settings, std::uint64_t seed)
    : loop_(loop),
      provider_(provider),
      settings_(std::move(settings)),
      charge_(settings_.rule, settings_.reserves_cap),
      rng_(seed),
      scheduler_(std::make_unique<admission::Scheduler>(settings_.limits, loop.now())) {}

Path::Id Gateway::call(const Call& call, Instant arrived, Caller& caller, std::uint64_t tag) {
  const Id id = ++last_id_;
  Exchange& exchange = exchanges_[id];
  exchange.call = call;
  exchange.caller = &caller;
  exchange.tag = tag;
  exchange.arrived = arrived;
  exchange.costs = charge_.of(call);
  exchange.deadline = loop_.now() + (settings_.refuses ? std::chrono::milliseconds(1) : settings_.wait_max);
  if (down_) {
    tell(id, {Outcome::Kind::failed, std::nullopt, false, {}, 0});
    return id;
  }
  ++counts_.received;
  submit(id, Instant::min());
  pump();
  return id;
}

void Gateway::submit(Id id, Instant not_before) {
  Exchange& exchange = exchanges_.at(id);
  const Call& call = exchange.call;
  exchange.state = Exchange::State::waiting;
  exchange.not_before = not_before;
  exchange.order = ++submissions_;
  admission::Submission submission;
  submission.key = scheduler_->budget(Scope::key, key_budget(call.key));
  submission.account = scheduler_->budget(Scope::account, account_budget);
  if (settings_.with_teams) submission.team = scheduler_->budget(Scope::team, team_budget(call.team));
  if (settings_.with_models) submission.model = scheduler_->budget(Scope::model, model_budget(call.model));
  if (call.lane > 0) submission.sub_lane = std::to_string(call.lane);
  submission.priority = static_cast<admission::Priority>(call.priority);
  submission.own = exchange.costs.own;
  submission.upstream = exchange.costs.upstream;
  submission.bytes = call.bytes;
  submission.arrived = exchange.arrived;
  submission.not_before = not_before;
  submission.ramps = settings_.ramps;
  submission.deadline = std::max(exchange.deadline, loop_.now() + std::chrono::milliseconds(1));
  const auto answer = scheduler_->submit(std::move(submission), loop_.now());
  if (const auto* rejection = std::get_if<admission::Rejection>(&answer)) {
    Outcome outcome;
    outcome.kind = Outcome::Kind::refused;
    if (rejection->room_at != never) outcome.hint = std::max(Duration::zero(), rejection->room_at - loop_.now());
    return tell(id, outcome);
  }
  exchange.ticket = std::get<admission::Ticket>(answer);
  if (by_ticket_.size() <= exchange.ticket.index) by_ticket_.resize(exchange.ticket.index + 1);
  by_ticket_[exchange.ticket.index] = id;
}

void Gateway::pump() {
  if (down_) return;
  for (const admission::Decision& decision : scheduler_->dispatch(loop_.now())) {
    const Id id = by_ticket_[decision.ticket.index];
    if (decision.rejection) {
      Outcome outcome;
      outcome.kind = Outcome::Kind::refused;
      if (decision.rejection->room_at != never)
        outcome.hint = std::max(Duration::zero(), decision.rejection->room_at - loop_.now());
      tell(id, outcome);
      continue;
    }
    Exchange& exchange = exchanges_.at(id);
    exchange.state = Exchange::State::connecting;
    if (admission_watcher_) admission_watcher_(exchange);
    if (++exchange.tries == 1) retry_budget_.note_first_try();
    const bool stale = settings_.stale > 0 && chance(settings_.stale, rng_);
    when_still(Exchange::State::connecting, exchange, id, settings_.connect_max,
               [this, id, stale] { stale ? send_in_vain(id) : send(id); });
  }
  arm();
  if (watcher_) watcher_();
}

void Gateway::arm() {
  const auto next = scheduler_->next_wakeup();
  if (!next || *next >= armed_) return;
  armed_ = *next;
  loop_.at(std::max(armed_, loop_.now()), [this, when = armed_] {
    if (armed_ != when) return;
    armed_ = never;
    pump();
  });
}

// Some time later, if nothing has become of it meanwhile.
void Gateway::when_still(Exchange::State state, const Exchange& exchange, Id id, Duration time_max,
                         std::function<void()> what) {
  loop_.after(between(Duration::zero(), time_max, rng_),
              [this, state, id, ticket = exchange.ticket, what = std::move(what)] {
                const auto found = exchanges_.find(id);
                if (found == exchanges_.end() || found->second.state != state) return;
                if (found->second.ticket == ticket) what();
              });
}

// On a kept connection that is closed by now: nothing arrives, and it goes again on a fresh one.
void Gateway::send_in_vain(Id id) {
  Exchange& exchange = exchanges_.at(id);
  exchange.state = Exchange::State::sent;
  exchange.at_provider = 0;
  exchange.produced = 0;
  ++counts_.in_vain;
  scheduler_->sent(exchange.ticket, loop_.now());
  when_still(Exchange::State::sent, exchange, id, stale_noticed_max, [this, id] {
    Exchange& again = exchanges_.at(id);
    again.state = Exchange::State::connecting;
    scheduler_->unsent(again.ticket, loop_.now());
    when_still(Exchange::State::connecting, again, id, settings_.connect_max, [this, id] { send(id); });
    arm();
  });
  arm();
}

void Gateway::send(Id id) {
  Exchange& exchange = exchanges_.at(id);
  exchange.state = Exchange::State::sent;
  exchange.sent_at = loop_.now();
  exchange.produced = exchange.told = 0;
  exchange.told_at = loop_.now();
  ++counts_.sent;
  if (sending_watcher_) sending_watcher_(exchange);
  scheduler_->sent(exchange.ticket, loop_.now());
  exchange.at_provider = provider_.send(exchange.call, *this, (id << tries_bits) | exchange.tries);
  arm();
}

void Gateway::settle(Id id, const Usage& usage, Ending ending) {
  scheduler_->settle(exchanges_.at(id).ticket, usage, ending, loop_.now());
}

void Gateway::reply(std::uint64_t tag, const Reply& reply) {
  const Id id = tag >> tries_bits;
  const auto found = exchanges_.find(id);
  if (found == exchanges_.end() || found->second.state != Exchange::State::sent) return;
  Exchange& exchange = found->second;
  if (exchange.tries != (tag & ((1u << tries_bits) - 1))) return;
  if (reply.kind != Reply::Kind::refused && reply.kind != Reply::Kind::turned_away)
    scheduler_->taken_in(exchange.ticket, loop_.now());
  switch (reply.kind) {
    case Reply::Kind::produced:
      if (settings_.running_usage && exchange.produced == 0) {
        scheduler_->measured(exchange.ticket, reply.input, 0, loop_.now());
        pump();
      }
      exchange.produced = reply.output;
      return tell_progress(exchange);
    case Reply::Kind::ended: {
      settle(id, {true, reply.input, 0, reply.output}, Ending::complete);
      charge_.learn(exchange.call, reply.output, exchange.told);
      Outcome outcome;
      outcome.sent_at = exchange.sent_at;
      outcome.used = reply.input + reply.output;
      tell(id, outcome);
      break;
    }
    case Reply::Kind::refused:
    case Reply::Kind::turned_away:
      if (reply.crowded) scheduler_->turned_away(exchange.ticket, Scope::account, {}, loop_.now());
      settle(id, {}, Ending::refused);
      take_failure(id, Trouble::refused, reply);
      break;
    case Reply::Kind::failed:
      settle(id, {true, exchange.call.estimate, 0, 0}, Ending::complete);
      take_failure(id, Trouble::failed, reply);
      break;
    case Reply::Kind::broke:
      settle(id, {true, exchange.call.estimate, 0, exchange.produced}, Ending::complete);
      if (exchange.produced == 0) {
        take_failure(id, Trouble::failed, reply);
      } else {
        tell(id, {Outcome::Kind::failed, std::nullopt, false, {}, 0});
      }
      break;
  }
  pump();
}

void Gateway::tell_progress(Exchange& exchange) {
  if (loop_.now() < exchange.told_at + progress_every) return;
  charge_.progress(exchange.call, exchange.told, exchange.produced);
  exchange.told = exchange.produced;
  exchange.told_at = loop_.now();
  scheduler_->progress(exchange.ticket, exchange.produced, loop_.now());
}

void Gateway::take_failure(Id id, Trouble trouble, const Reply& reply) {
  Exchange& exchange = exchanges_.at(id);
  const bool at_the_door = trouble == Trouble::refused;
  ++(at_the_door ? exchange.refusals : exchange.in_vain);
  admission::Attempted attempted;
  attempted.trouble = trouble;
  attempted.refusals = exchange.refusals;
  attempted.in_vain = exchange.in_vain;
  attempted.hint = reply.hint;
  attempted.deadline = exchange.deadline;
  const admission::NextTry next = admission::next_try(attempted, settings_.retry, retry_budget_, loop_.now(), rng_);
  const bool again = next.verdict == admission::NextTry::Verdict::again;
  if (at_the_door) {
    // It holds for all who want to go there.
    admission::UpstreamReport report;
    report.budget = scheduler_->budget(Scope::account, account_budget);
    using Afterwards = admission::UpstreamReport::Afterwards;
    report.afterwards = reply.crowded ? Afterwards::all_if_it_serves : Afterwards::one_first;
    report.pause_until = again ? next.not_before : loop_.now() + reply.hint.value_or(std::chrono::seconds(1));
    paused_until_ = std::max(paused_until_, *report.pause_until);
    scheduler_->observe(report, loop_.now(), rng_);
  }
  if (again) {
    if (!at_the_door) ++counts_.repeated;
    return submit(id, next.not_before);
  }
  Outcome outcome;
  outcome.kind = reply.kind == Reply::Kind::refused ? Outcome::Kind::refused : Outcome::Kind::failed;
  outcome.by_provider = reply.kind == Reply::Kind::refused;
  outcome.hint = reply.hint;
  tell(id, outcome);
}

// Later, so that what the caller does next does not meet half a decision.
void Gateway::tell(Id id, const Outcome& outcome) {
  const auto found = exchanges_.find(id);
  Caller* const caller = found->second.caller;
  loop_.after(Duration::zero(), [caller, tag = found->second.tag, outcome] { caller->outcome(tag, outcome); });
  exchanges_.erase(found);
}

void Gateway::leave(Id id) {
  const auto found = exchanges_.find(id);
  if (found == exchanges_.end()) return;
  const Exchange& exchange = found->second;
  if (exchange.state == Exchange::State::sent) {
    provider_.cancel(exchange.at_provider);
    settle(id, {true, exchange.call.estimate, 0, exchange.produced}, Ending::cut_off);
  } else {
    scheduler_->withdraw(exchange.ticket, loop_.now());
  }
  exchanges_.erase(found);
  pump();
}

void Gateway::reconfigure(admission::Limits limits) {
  settings_.limits = limits;
  if (down_) return;
  scheduler_->reconfigure(std::move(limits), loop_.now());
  pump();
}

void Gateway::restart(Memory memory, Duration pause) {
  std::optional<admission::Snapshot> snapshot;
  if (memory == Memory::kept) snapshot = scheduler_->snapshot(loop_.now());
  std::vector<Id> all;
  for (const auto& [id, exchange] : exchanges_) all.push_back(id);
  std::sort(all.begin(), all.end());
  for (const Id id : all) {
    if (exchanges_.at(id).state == Exchange::State::sent) provider_.cancel(exchanges_.at(id).at_provider);
    tell(id, {Outcome::Kind::failed, std::nullopt, false, {}, 0});
  }
  down_ = true;
  armed_ = never;
  paused_until_ = Instant::min();
  loop_.after(pause, [this, snapshot = std::move(snapshot), pause] { start_again(snapshot, pause); });
}

void Gateway::start_again(const std::optional<admission::Snapshot>& snapshot, Duration age) {
  scheduler_ = std::make_unique<admission::Scheduler>(settings_.limits, loop_.now());
  if (snapshot) {
    scheduler_->restore(*snapshot, age, loop_.now());
  } else {
    scheduler_->assume_spent(never, loop_.now());
  }
  by_ticket_.clear();
  down_ = false;
  pump();
}

}  // namespace weir::simulation
