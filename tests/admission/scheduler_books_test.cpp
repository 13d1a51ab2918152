// The scheduler under calls of every kind in any order: its books agree when counted again, no wake-up is lost, every
// ticket ends. rapidcheck shortens what fails and prints how to repeat it.
#include <gtest/gtest.h>
#include <rapidcheck/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <vector>

#include "admission/admission_support.hpp"

namespace weir::admission {
namespace {

using namespace test;

// Throws for one step; its seed is all that rapidcheck needs to know of the step.
class Dice {
 public:
  explicit Dice(std::uint64_t seed) : random_(seed) {}
  Tokens pick(Tokens least, Tokens most) {
    return least + static_cast<Tokens>(random_() % static_cast<std::uint64_t>(most - least + 1));
  }
  bool one_in(Tokens count) { return pick(1, count) == 1; }
  Duration time(Tokens milliseconds_max) { return std::chrono::milliseconds(pick(0, milliseconds_max)); }
  std::string name() { return std::to_string(pick(0, 2)); }
  Rng& rng() { return random_; }

 private:
  Rng random_;
};

Limits any_limits(Dice& dice) {
  Limits limits;
  limits.age_step = std::chrono::seconds(dice.pick(1, 60));
  limits.requests_max = static_cast<std::size_t>(dice.pick(10, 60));
  limits.bytes_max = 10'000;
  limits.learn = {!dice.one_in(5), dice.pick(1, 10), std::chrono::seconds(dice.pick(1, 100))};
  limits.oversize = dice.one_in(4) ? Oversize::refuse : Oversize::alone;
  for (const Scope scope : {Scope::key, Scope::team, Scope::account, Scope::model}) {
    for (int i = 0; i < 3; ++i) {
      if (dice.one_in(4)) continue;
      BudgetLimits made = limited(scope, std::to_string(i), {}, dice.pick(1, 5));
      for (const Meter meter : {Meter::requests, Meter::requests_day, Meter::in_flight})
        if (dice.one_in(4)) made.limits[static_cast<std::size_t>(meter)] = dice.pick(1, 20);
      for (const Meter meter : {Meter::tokens, Meter::input, Meter::output, Meter::tokens_day})
        if (dice.one_in(4)) made.limits[static_cast<std::size_t>(meter)] = dice.pick(100, 2'000);
      made.window = std::chrono::seconds(dice.pick(1, 60));
      if (dice.one_in(5)) made.pacing = made.window / 10;
      if (dice.one_in(5)) made.burst = dice.pick(50, 500);
      made.day_resets = dice.one_in(2) ? never : start + std::chrono::seconds(dice.pick(1, 3'000));
      limits.budgets.push_back(made);
    }
  }
  return limits;
}

Cost any_cost(Dice& dice) {
  Cost cost;
  cost.later = static_cast<LaterCharge>(dice.pick(0, 2));
  if (cost.later == LaterCharge::at_end) {
    cost.later_input = dice.pick(0, 300);
  } else {
    cost.tokens = dice.pick(0, 300);
    cost.input = dice.pick(0, cost.tokens);
    cost.output = cost.later == LaterCharge::none ? dice.pick(0, 100) : 0;
  }
  if (cost.later != LaterCharge::none) {
    cost.later_output = dice.pick(0, 300);
    cost.output_max = dice.one_in(2) ? 0 : dice.pick(1, 600);
    cost.lump = dice.one_in(4);
  }
  cost.corrects = dice.one_in(2);
  cost.cached_input_free = dice.one_in(2);
  return cost;
}

Usage any_usage(Dice& dice) {
  Usage usage;
  usage.known = !dice.one_in(4);
  usage.input = dice.pick(0, 300);
  usage.cached = dice.pick(0, usage.input);
  usage.output = dice.pick(0, 300);
  return usage;
}

class Anything {
 public:
  explicit Anything(Dice dice) : scheduler_(any_limits(dice), now_) {}

  void step(Dice dice) {
    switch (dice.pick(0, 15)) {
      case 0:
      case 1:
      case 2:
      case 3:
      case 4:
        submit(dice);
        break;
      case 5:
      case 6:
        if (!admitted_.empty()) send(take(admitted_, dice));
        break;
      case 7:
      case 8:
        if (!sent_.empty()) {
          const Ticket ticket = sent_[static_cast<std::size_t>(dice.pick(0, static_cast<Tokens>(sent_.size()) - 1))];
          scheduler_.progress(ticket, produced_[ticket.index] += dice.pick(0, 50), now_);
          if (dice.one_in(3)) scheduler_.measured(ticket, dice.pick(0, 300), dice.pick(0, 20), now_);
        }
        break;
      case 9:
      case 10:
        if (!sent_.empty())
          scheduler_.settle(take(sent_, dice), any_usage(dice), static_cast<Ending>(dice.pick(0, 3)), now_);
        break;
      case 11: {
        auto& from = dice.one_in(2) ? waiting_ : admitted_;
        if (!from.empty()) scheduler_.withdraw(take(from, dice), now_);
        break;
      }
      case 12:
        if (dice.one_in(4)) scheduler_.reconfigure(any_limits(dice), now_);
        break;
      case 13:
        report(dice);
        break;
      case 14:
        look(dice);
        break;
      default:
        wait(dice.time(10'000));
    }
    if (dice.one_in(2)) dispatch();
    RC_ASSERT(scheduler_.queued() == waiting_.size());
    RC_ASSERT(scheduler_.running() == admitted_.size() + sent_.size());
  }

  void expect_books() { RC_ASSERT(scheduler_.verify(now_) == ""); }

  // Everybody who waits gets through once everything else is settled, and then nothing is left on the books.
  void end(Dice dice) {
    Limits limits = any_limits(dice);
    // Who waits for what is not named keeps its limits, and days may not end here.
    for (const Scope scope : {Scope::key, Scope::team, Scope::account, Scope::model}) {
      for (int i = 0; i < 3; ++i) {
        const auto is_it = [&](const BudgetLimits& each) {
          return each.scope == scope && each.name == std::to_string(i);
        };
        if (std::none_of(limits.budgets.begin(), limits.budgets.end(), is_it))
          limits.budgets.push_back(limited(scope, std::to_string(i), {}));
      }
    }
    for (BudgetLimits& budget : limits.budgets) {
      budget.limits[static_cast<std::size_t>(Meter::requests_day)] = std::nullopt;
      budget.limits[static_cast<std::size_t>(Meter::tokens_day)] = std::nullopt;
    }
    scheduler_.reconfigure(limits, now_);
    for (int i = 0; i < 20'000 && scheduler_.queued() + scheduler_.running() > 0; ++i) {
      dispatch();
      while (!admitted_.empty()) send(take(admitted_, dice));
      while (!sent_.empty()) scheduler_.settle(take(sent_, dice), any_usage(dice), Ending::complete, now_);
      dispatch();
      if (const auto wakeup = scheduler_.next_wakeup()) now_ = *wakeup;
    }
    RC_ASSERT(scheduler_.queued() == 0u);
    RC_ASSERT(scheduler_.running() == 0u);
    now_ += 1h;
    expect_books();
    for (BudgetId id = 0; id < scheduler_.budget_count(); ++id) {
      for (const Meter meter : {Meter::requests, Meter::tokens, Meter::input, Meter::output}) {
        RC_ASSERT(scheduler_.view(id, meter, now_).reserved == 0);
        RC_ASSERT(scheduler_.view(id, meter, now_).used == 0);
      }
      RC_ASSERT(scheduler_.view(id, Meter::in_flight, now_).used == 0);
    }
  }

 private:
  void submit(Dice& dice) {
    Submission s;
    s.key = scheduler_.budget(Scope::key, dice.name());
    if (dice.one_in(2)) s.team = scheduler_.budget(Scope::team, dice.name());
    if (dice.one_in(2)) s.model = scheduler_.budget(Scope::model, dice.name());
    s.account = scheduler_.budget(Scope::account, dice.name());
    s.sub_lane = dice.name();
    s.priority = static_cast<Priority>(dice.pick(0, 2));
    s.own = any_cost(dice);
    s.upstream = any_cost(dice);
    s.pace = {dice.time(2'000), dice.pick(0, 500), static_cast<int>(dice.pick(-16, 16))};
    s.bytes = static_cast<std::size_t>(dice.pick(0, 1'000));
    s.arrived = now_ - dice.time(3'000);
    s.ramps = dice.one_in(2);
    if (dice.one_in(4)) s.not_before = now_ + dice.time(5'000);
    if (dice.one_in(3)) s.deadline = now_ + dice.time(60'000);
    const auto answer = scheduler_.submit(s, now_);
    if (const auto* ticket = std::get_if<Ticket>(&answer)) waiting_.push_back(*ticket);
  }

  void send(Ticket ticket) {
    scheduler_.sent(ticket, now_);
    sent_.push_back(ticket);
  }

  void report(Dice& dice) {
    UpstreamReport report;
    report.budget = static_cast<BudgetId>(dice.pick(0, static_cast<Tokens>(scheduler_.budget_count()) - 1));
    if (dice.one_in(2)) report.pause_until = now_ + dice.time(3'000);
    if (dice.one_in(2)) report.jitter = 500ms;
    scheduler_.observe(report, now_, dice.rng());
    learn(dice);
  }

  // The upstream of some call says something of its limits, or turns it away for them.
  void learn(Dice& dice) {
    if (sent_.empty()) return;
    const Ticket ticket = take_look(sent_, dice);
    const Scope scope = dice.one_in(2) ? Scope::model : Scope::account;
    SaidOfMeter said;
    said.meter = static_cast<Meter>(dice.pick(0, 3));
    if (dice.one_in(2)) said.limit = dice.pick(1, 2'000);
    if (dice.one_in(2)) said.used = dice.pick(0, 1'000);
    scheduler_.hear(ticket, scope, said, now_);
    Crowding crowding;
    if (dice.one_in(2)) crowding.kind = Crowding::Kind::too_steep;
    if (dice.one_in(2)) crowding.allowed = dice.pick(1, 5);
    if (dice.one_in(4)) scheduler_.turned_away(ticket, scope, crowding, now_);
  }

  void look(Dice& dice) {
    const std::vector<WaitingView> views = scheduler_.waiting(now_, 5);
    RC_ASSERT(views.size() == std::min<std::size_t>(5, waiting_.size()));
    for (const WaitingView& view : views) RC_ASSERT(view.position >= 1);
    if (!waiting_.empty()) RC_ASSERT(scheduler_.place_of(take_look(waiting_, dice), now_).has_value());
    if (!sent_.empty()) RC_ASSERT(!scheduler_.place_of(take_look(sent_, dice), now_).has_value());
    for (const Snapshot::Entry& entry : scheduler_.snapshot(now_).budgets) {
      for (const Budget::Charge& charge : entry.charges) RC_ASSERT(charge.amount > 0);
    }
  }

  void wait(Duration time) {
    const Instant end = now_ + time;
    for (dispatch(); scheduler_.next_wakeup() && *scheduler_.next_wakeup() <= end; dispatch())
      now_ = *scheduler_.next_wakeup();
    now_ = end;
  }

  void dispatch() {
    for (const Decision& decision : dispatch_all(scheduler_, now_)) {
      const auto found = std::find(waiting_.begin(), waiting_.end(), decision.ticket);
      RC_ASSERT(found != waiting_.end());
      waiting_.erase(found);
      if (!decision.rejection) admitted_.push_back(decision.ticket);
      produced_[decision.ticket.index] = 0;
    }
    RC_ASSERT(scheduler_.dispatch(now_).empty());
    const auto wakeup = scheduler_.next_wakeup();
    RC_ASSERT((!wakeup || *wakeup > now_));
  }

  static Ticket take_look(const std::vector<Ticket>& from, Dice& dice) {
    return from[static_cast<std::size_t>(dice.pick(0, static_cast<Tokens>(from.size()) - 1))];
  }
  static Ticket take(std::vector<Ticket>& from, Dice& dice) {
    const Ticket ticket = take_look(from, dice);
    from.erase(std::find(from.begin(), from.end(), ticket));
    return ticket;
  }

  Instant now_ = start;
  Scheduler scheduler_;
  std::vector<Ticket> waiting_, admitted_, sent_;
  std::map<std::uint32_t, Tokens> produced_;  // by the index of the ticket
};

RC_GTEST_PROP(SchedulerBooks, AgreeWhateverHappens, (std::uint64_t first, std::uint64_t last)) {
  const auto steps = *rc::gen::scale(4.0, rc::gen::arbitrary<std::vector<std::uint64_t>>());
  Anything anything{Dice(first)};
  for (std::size_t i = 0; i < steps.size(); ++i) {
    anything.step(Dice(steps[i]));
    if (i % 16 == 0) anything.expect_books();
  }
  anything.expect_books();
  anything.end(Dice(last));
}

}  // namespace
}  // namespace weir::admission
